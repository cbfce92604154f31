"""The manifest of a batch: a row for each result that was wanted, as JSON lines or Parquet."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_rt.jobs import remote
from adain_rt.jobs.painter import Result

__all__ = ["SCHEMA", "check_manifest", "open_manifest"]

SCHEMA = pa.schema(
    [
        ("content", pa.string()),
        ("style", pa.string()),
        ("output", pa.string()),
        ("status", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("seconds", pa.float64()),
        ("backend", pa.string()),
        ("precision", pa.string()),
        ("remarks", pa.string()),
        ("error", pa.string()),
    ]
)
"""The columns, which are those of ``Result`` without the hint."""

_ROWS = 10_000
"""How many rows Parquet gets at once."""

_SUFFIXES = (".jsonl", ".parquet")


def check_manifest(name: str, replace: bool) -> None:
    """Check that a manifest can be written.

    Args:
        name: the file, or its URI.
        replace: whether it may exist.

    Raises:
        AdainError: the suffix names neither format, or the file exists.

    """
    path = remote.path_of(name) if remote.is_remote(name) else Path(name)
    if path.suffix not in _SUFFIXES:
        raise AdainError(
            f"manifest {name}: ends with neither .jsonl nor .parquet", hint="end its name with one of them"
        )
    if not replace and (remote.exists(name) if remote.is_remote(name) else os.path.lexists(name)):
        raise AdainError(f"manifest {name}: exists already", hint="name another `manifest`")


@contextmanager
def open_manifest(name: str) -> Iterator[Callable[[Result], None]]:
    """Yield what writes one row. The file is there, whole, when the block ends, with an exception as well.

    Raises:
        AdainError: the file cannot be written.

    """
    ended: BaseException | None = None
    with tempfile.TemporaryDirectory(prefix="adain-") as folder:
        path = Path(folder, "manifest") if remote.is_remote(name) else Path(name)
        with replacing(path) as aside, _open_writer(aside, PurePath(name).suffix) as write:
            try:
                yield write
            except BaseException as error:  # Ctrl-C too: what became of each picture until then is worth knowing
                ended = error
        if remote.is_remote(name):
            remote.write_file(name, path.read_bytes())
    if ended is not None:
        raise ended


@contextmanager
def _open_writer(path: Path, suffix: str) -> Iterator[Callable[[Result], None]]:
    if suffix == ".jsonl":
        with path.open("w", encoding="utf-8") as file:
            yield lambda result: print(json.dumps(_as_row(result), ensure_ascii=False), file=file)
        return
    rows: list[dict[str, Any]] = []
    with parquet.ParquetWriter(path, SCHEMA) as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
            rows.clear()

        def write(result: Result) -> None:
            rows.append(_as_row(result))
            if len(rows) == _ROWS:
                flush()

        yield write
        flush()


def _as_row(result: Result) -> dict[str, Any]:
    values = asdict(result)
    return {name: values[name] for name in SCHEMA.names}
