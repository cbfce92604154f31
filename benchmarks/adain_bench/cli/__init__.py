"""``adain-rt bench``."""

from __future__ import annotations

import click

from adain_bench.cli import measure as measure_cli
from adain_bench.cli import normalization as normalization_cli
from adain_bench.cli import profile as profile_cli
from adain_bench.cli import quality as quality_cli
from adain_bench.cli import record as record_cli

__all__ = ["command"]


@click.group("bench")
def command() -> None:
    """Measure speed and picture quality.

    Start with `all`: it measures speed on this machine and writes a report.
    """


for each in (
    measure_cli.everything,
    measure_cli.gpu,
    measure_cli.paper,
    measure_cli.latency,
    measure_cli.exactness,
    measure_cli.throughput,
    measure_cli.start,
    profile_cli.command,
    quality_cli.command,
    normalization_cli.command,
    record_cli.compare,
    record_cli.report,
):
    command.add_command(each)
