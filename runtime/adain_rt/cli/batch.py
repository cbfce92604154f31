"""``adain-rt batch``."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from adain_models.errors import AdainError
from adain_rt.backends import BACKENDS
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import complain, progress, word_error
from adain_rt.jobs.batch import Batch
from adain_rt.jobs.painter import Result
from adain_rt.jobs.styles import parse
from adain_rt.stylizer import Stylizer

__all__ = ["command"]

_LINES = 20
"""How many failures are printed, each on a line."""

_threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Cores of each worker, and the threads that compute in it.",
)


@click.command("batch")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@options.styles
@options.masks
@options.recursive
@options.alpha
@options.color
@options.strokes
@options.fit
@options.underpainting
@options.size(default=0)
@options.max_size
@options.style_size
@options.crop
@partial(options.stylizer, threads=_threads)
@click.option(
    "--gpus",
    type=click.FloatRange(min=0),
    callback=options.finite,
    metavar="N",
    help="GPUs of each worker; 0.25 lets four share one.  [default: 1 if the backend here is a GPU's, else 0]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of workers.  [default: as many as there are cores and GPUs for]",
)
@click.option(
    "--address",
    envvar="RAY_ADDRESS",
    metavar="HOST:PORT",
    help="Ray cluster to run on; auto finds the one that this machine belongs to.  [default: this machine alone]",
)
@click.option(
    "-o", "--output", required=True, metavar="OUT", help="Output directory, or a URI such as s3://bucket/folder/."
)
@options.overwrite
@options.resume
@click.option(
    "--manifest",
    metavar="FILE",
    help="File that lists what became of each picture: .jsonl for JSON lines, or .parquet.",
)
def command(
    contents: Sequence[str],
    styles: Sequence[str],
    masks: Sequence[Path],
    recursive: bool,
    alpha: float,
    color: str,
    strokes: int,
    fit: bool,
    underpainting: float,
    size: int,
    max_size: int,
    style_size: int,
    crop: bool,
    stylizer: Stylizer,
    gpus: float | None,
    workers: int | None,
    address: str | None,
    output: str,
    overwrite: bool,
    resume: bool,
    manifest: str | None,
) -> None:
    """Paint folders of photos on all cores, or on a Ray cluster.

    \b
    Examples:
      adain-rt batch photos/ --style @starry-night -o out/
      adain-rt batch photos/ --style paintings/ -o out/ --manifest done.parquet
      adain-rt batch s3://bucket/photos --style @udnie -o s3://bucket/painted \\
                     --address auto

    CONTENT is a file, a directory, a glob, or the URI of a file or a folder on another file system. Files without a
    URI must be where every machine of the cluster finds them. Options, names, errors and metadata are those of
    `adain-rt stylize`.

    The exit status is 0 if all pictures were painted, 1 if some were, and 2 if none was. Those that --resume skips
    count as painted.
    """
    with needing("batch", "ray"):
        from adain_rt.integrations import ray_data
        from adain_rt.jobs.manifest import check_manifest, open_manifest
    if manifest is not None:
        check_manifest(manifest, replace=overwrite or resume)
    batch = Batch(
        contents,
        [parse(style) for style in styles],
        output,
        recursive=recursive,
        overwrite=overwrite,
        resume=resume,
        masks=masks,
        strength=alpha,
        color=color,
        strokes=strokes,
        fit=fit,
        underpainting=underpainting,
        size=size,
        max_size=max_size,
        style_size=style_size,
        crop=crop,
    )
    if gpus is None:
        gpus = 1 if BACKENDS[stylizer.backend].device == "gpu" else 0
    share = ray_data.Workers(workers, stylizer.settings.threads or 1, gpus)
    tally = _Tally(len(batch.tasks) + len(batch.finished))
    painter = batch.make_painter(stylizer)
    stylizer.close()  # the workers have their own, and may need the GPU's memory
    try:
        with (
            nullcontext() if manifest is None else open_manifest(manifest) as write,
            ray_data.hush() as terminal,
            closing(ray_data.run(batch, painter, share, address)) as results,
            progress("Stylizing", tally.wanted, stream=terminal) as bar,
        ):
            for result in results:
                worded = tally.add(result)
                if write is not None:
                    write(worded)
                bar.update(1)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, or SIGTERM
        tally.report()
        more = "" if overwrite else ", and the same command with --resume goes on with the others"
        complain(f"interrupted; {tally.there} of {tally.wanted} results are known to be written{more}")
        raise
    tally.report()
    sys.exit(tally.status)


class _Tally:
    """Counts what became of the results.

    Args:
        wanted: how many results there are to be.

    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._started = time.perf_counter()
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, None] = {}
        self._others = 0

    @property
    def there(self) -> int:
        """How many results are written."""
        return self._counts["painted"] + self._counts["skipped"]

    @property
    def status(self) -> int:
        """The exit status: 0 if nothing failed, 1 if something did, 2 if everything did."""
        if not self._counts["failed"]:
            return 0
        return 1 if self.there else 2

    def add(self, result: Result) -> Result:
        """Count a result, and return it with its error as the command line words it."""
        self._counts[result.status] += 1
        if result.error is not None:
            result = replace(result, error=word_error(AdainError(result.error, hint=result.hint)), hint=None)
        line = result.error or result.remarks
        if line and line not in self._lines:
            if len(self._lines) < _LINES:
                self._lines[line] = None
            else:
                self._others += 1
        return result

    def report(self) -> None:
        """Print what failed and the first remarks to stderr, and the counts to stdout."""
        for line in self._lines:
            complain(line)
        if self._others:
            complain(f"and {self._others} more; --manifest FILE lists all")
        counts = ", ".join(f"{status}: {count}" for status, count in self._counts.items())
        click.echo(f"{counts or 'nothing was done'}  ({time.perf_counter() - self._started:.1f} s)")
