"""The manifest of a batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adain_models.errors import AdainError
from adain_rt.jobs.painter import Result

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.slow  # it needs pyarrow

PAINTED = Result("ü.jpg", "s", "out/ü.jpg", "painted", 4, 3, 0.5, "onnxruntime", "fp32")
FAILED = Result("b.jpg", "s", "out/b.jpg", "failed", error="b.jpg: is empty")
SKIPPED = Result("c.jpg", "s", "out/c.jpg", "skipped")


def rows(path: Path) -> list[dict]:
    from pyarrow import parquet

    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", ["done.jsonl", "done.parquet"])
def test_every_result_is_a_row_with_the_same_columns(tmp_path, name, monkeypatch):
    from adain_rt.jobs import manifest

    monkeypatch.setattr(manifest, "_ROWS", 2)
    with manifest.open_manifest(str(tmp_path / name)) as write:
        for result in (PAINTED, FAILED, SKIPPED):
            write(result)
    written = rows(tmp_path / name)
    assert [tuple(row) for row in written] == [tuple(manifest.SCHEMA.names)] * 3
    assert [row["status"] for row in written] == ["painted", "failed", "skipped"]
    assert (written[0]["content"], written[0]["width"], written[0]["seconds"]) == ("ü.jpg", 4, 0.5)
    assert (written[1]["error"], written[1]["width"]) == ("b.jpg: is empty", None)


@pytest.mark.parametrize("name", ["done.jsonl", "done.parquet"])
def test_an_interruption_leaves_what_is_known(tmp_path, name):
    from adain_rt.jobs.manifest import open_manifest

    def interrupt() -> None:
        with open_manifest(str(tmp_path / name)) as write:
            write(PAINTED)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert [row["content"] for row in rows(tmp_path / name)] == ["ü.jpg"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_manifest_may_be_on_another_file_system(tmp_path):
    from adain_rt.jobs.manifest import check_manifest, open_manifest

    name = f"file://{tmp_path.as_posix()}/done.jsonl"
    check_manifest(name, replace=False)
    with open_manifest(name) as write:
        write(PAINTED)
    assert len(rows(tmp_path / "done.jsonl")) == 1
    with pytest.raises(AdainError, match=r"done\.jsonl: exists already"):
        check_manifest(name, replace=False)
    check_manifest(name, replace=True)


def test_another_format_is_refused():
    from adain_rt.jobs.manifest import check_manifest

    with pytest.raises(AdainError, match=r"done\.csv: ends with neither \.jsonl nor \.parquet"):
        check_manifest("done.csv", replace=False)
