"""Files are whole or not there."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from adain_models.errors import AdainError
from adain_models.files import replacing, sha256_of


def test_a_file_appears_when_the_block_ends_well_with_the_users_permissions(tmp_path):
    path = tmp_path / "new" / "file"
    with replacing(path) as aside:
        aside.write_text("whole")
        aside.chmod(0o600)  # as some libraries do
        assert not path.exists()
    assert path.read_text() == "whole"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as aside:
            aside.write_text("ha")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(AdainError, match=r"file: cannot be written \(No space left on device\)"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_in_the_way_is_named(tmp_path):
    (tmp_path / "taken").mkdir()

    def write() -> None:
        with replacing(tmp_path / "taken") as aside:
            aside.write_text("x")

    with pytest.raises(AdainError, match="taken: cannot be written"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_sha256_is_the_standards(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
