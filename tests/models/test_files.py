"""Files are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from adain_models.errors import AdainError
from adain_models.files import read_safetensors, replacing, sha256_of


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


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o600)
    with replacing(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    target, link, dangling = tmp_path / "disk" / "file", tmp_path / "link", tmp_path / "dangling"
    target.write_text("old")
    link.symlink_to(target)
    dangling.symlink_to("disk/another")
    for path in (link, dangling):
        with replacing(path) as aside:
            aside.write_text("new")
        assert path.is_symlink()
        assert path.read_text() == "new"
    assert target.read_text() == "new"


def test_a_device_and_a_pipe_are_written_to(tmp_path):
    with replacing(Path("/dev/null")) as aside:
        aside.write_text("gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with replacing(pipe) as aside:
        aside.write_text("through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_link_to_a_pipe_that_has_no_path_is_written_to():
    """As /dev/stdout is, in a pipeline."""
    reader, writer = os.pipe()
    with replacing(Path(f"/dev/fd/{writer}")) as aside:
        aside.write_text("through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    os.close(writer)


def test_where_permissions_cannot_be_changed_files_are_written_all_the_same(tmp_path, monkeypatch):
    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(self), mode)

    path = tmp_path / "file"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", refuse)
        with replacing(path) as aside:
            aside.write_text("whole")
            os.chmod(aside, 0o600)  # noqa: PTH101 - as some libraries do
    assert path.read_text() == "whole"


def kill_while_writing(path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from adain_models.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as aside: aside.write_text('ha'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)  # noqa: S603 - our own


def test_what_killed_processes_left_is_removed_a_day_later_by_a_run_in_the_same_folder(tmp_path):
    for name in ("file", "other", "another"):
        kill_while_writing(tmp_path / name)
    old, other, new = tmp_path.glob(".*.part")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))  # the third may be of a process that still writes
    with replacing(tmp_path / "file") as aside:
        aside.write_text("whole")
    assert (tmp_path / "file").read_text() == "whole"
    assert list(tmp_path.glob(".*.part")) == [new]


def test_a_folder_is_searched_for_leftovers_once(tmp_path, monkeypatch):
    searched = []
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: (searched.append(self), glob(self, pattern))[1])
    for name in ("one", "two"):
        with replacing(tmp_path / name) as aside:
            aside.write_text("whole")
    assert searched == [tmp_path]


def test_content_that_does_not_reach_the_disk_is_an_error_and_the_old_file_stays(tmp_path, monkeypatch):
    """Network file systems and quotas say so as late as this."""

    def refuse(handle: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(AdainError, match=r"file: cannot be written \(Disk quota exceeded\)"), replacing(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_that_cannot_sync_is_written_to(tmp_path, monkeypatch):
    def refuse(handle: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    with replacing(tmp_path / "file") as aside:
        aside.write_text("whole")
    assert (tmp_path / "file").read_text() == "whole"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_replaced_file_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    os.chown(path, 12345, 12346)
    with replacing(path) as aside:
        aside.write_text("new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_what_replaces_a_private_file_is_private_from_the_start(tmp_path):
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o640)
    with replacing(path) as aside:
        assert stat.S_IMODE(aside.stat().st_mode) == 0o600
        aside.write_text("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_stream_that_is_open_is_written_to_by_its_name():
    program = (
        "from pathlib import Path; from adain_models.files import replacing\n"
        "with replacing(Path('/dev/stdout')) as aside: aside.write_text('through')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "through"


def test_without_a_folder_for_what_is_temporary_a_device_is_an_error(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: ["/missing"])
    with pytest.raises(AdainError, match="/dev/null: cannot be written"), replacing(Path("/dev/null")):
        pass


def test_a_file_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(os, "fsync", lambda handle: steps.append(("sync", stat.S_ISDIR(os.fstat(handle).st_mode))))
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: (steps.append("rename"), replace(self, target))[1])
    with replacing(tmp_path / "file") as aside:
        aside.write_text("whole")
    assert steps == [("sync", False), "rename", ("sync", True)]


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


def test_a_shape_that_cannot_be_is_damage(tmp_path):
    tensor = {"dtype": "F32", "shape": [0, 1 << 62], "data_offsets": [0, 0]}
    header = json.dumps({"weight": tensor}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(AdainError, match=r"w\.safetensors: .*, or is damaged"):
        read_safetensors(tmp_path / "w.safetensors", "numpy")
