"""What containers, ``ulimit`` and Slurm leave to a process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adain_rt.machine import cpu, limits, memory

GB = 1 << 30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Make a machine with control groups, and return where they are mounted."""
    proc, mount = tmp_path / "proc", tmp_path / "control groups"
    proc.mkdir()
    mount.mkdir()
    monkeypatch.setattr(limits, "_PROC", proc)
    limits._groups.cache_clear()
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text(f"MemAvailable: {16 * GB // 1024} kB\n")
    for name in ("CPUS_PER_TASK", "CPUS_ON_NODE", "MEM_PER_NODE", "MEM_PER_CPU"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)

    def system(group: str, *, root: str = "/", kind: str = "cgroup2", options: str = "rw") -> Path:
        number, controllers = ("0", "") if kind == "cgroup2" else ("4", options.removeprefix("rw,"))
        (proc / "cgroup").write_text(f"9:name=systemd:/\n{number}:{controllers}:{group}\n")
        place = str(mount).replace(" ", "\\040")
        (proc / "mountinfo").write_text(f"31 23 0:28 {root} {place} rw,relatime shared:9 - {kind} cgroup {options}\n")
        limits._groups.cache_clear()
        return mount

    yield system
    limits._groups.cache_clear()


def write(directory: Path, **files: object) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_text(f"{content}\n")


def test_without_control_groups_all_that_the_machine_has_is_available(system) -> None:
    del system
    assert memory.available_bytes() == 16 * GB
    assert limits.cores() is None


def test_a_containers_own_limit_counts(system) -> None:
    write(system("/"), memory__max=2 * GB, memory__current=GB // 2)
    assert memory.available_bytes() == 2 * GB - GB // 2


def test_the_tightest_of_the_groups_above_counts(system) -> None:
    mount = system("/pod/container")
    write(mount / "pod" / "container", memory__max=8 * GB, memory__current=GB)
    write(mount / "pod", memory__max=3 * GB, memory__current=2 * GB)
    write(mount, memory__max="max", memory__current=9 * GB)
    assert memory.available_bytes() == GB


def test_page_cache_that_can_be_reclaimed_does_not_count_as_used(system) -> None:
    write(
        system("/"), memory__max=GB, memory__current=GB, memory__stat=f"anon 5\ninactive_file {GB // 4}\nactive_file 7"
    )
    assert memory.available_bytes() == GB // 4


def test_a_group_over_its_limit_leaves_nothing(system) -> None:
    write(system("/"), memory__max=GB, memory__current=2 * GB)
    assert memory.available_bytes() == 0


def test_version_1_is_seen(system) -> None:
    mount = system("/user/job", kind="cgroup", options="rw,memory")
    unlimited = 9223372036854771712
    stat = f"cache 9\ntotal_inactive_file {GB // 2}"
    write(mount / "user" / "job", memory__limit_in_bytes=GB, memory__usage_in_bytes=GB, memory__stat=stat)
    write(mount / "user", memory__limit_in_bytes=unlimited, memory__usage_in_bytes=3 * GB)
    assert memory.available_bytes() == GB // 2


def test_a_container_that_sees_its_hosts_path_reads_what_is_mounted(system) -> None:
    mount = system("/docker/123", root="/docker/123", kind="cgroup", options="rw,memory")
    write(mount, memory__limit_in_bytes=GB, memory__usage_in_bytes=0)
    assert memory.available_bytes() == GB


@pytest.mark.parametrize("path", ["/../../other", "/not/there"])
def test_a_group_outside_what_is_mounted_falls_back_on_the_mount(path: str, system) -> None:
    write(system(path), memory__max=GB, memory__current=0)
    assert memory.available_bytes() == GB


@pytest.mark.parametrize("damaged", ["", "nonsense", "12 max"])
def test_a_limit_that_cannot_be_read_is_none(damaged: str, system) -> None:
    write(system("/"), memory__max=damaged if damaged != "12 max" else "max", memory__current=damaged)
    assert memory.available_bytes() == 16 * GB


@pytest.mark.parametrize(
    ("quota", "cores"), [("100000 100000", 1), ("150000 100000", 2), ("20000 100000", 1), ("max 100000", None)]
)
def test_a_quota_of_processor_time_is_cores_rounded_up(quota: str, cores: int | None, system) -> None:
    write(system("/"), cpu__max=quota)
    assert limits.cores() == cores


def test_version_1_has_its_quota_in_two_files(system) -> None:
    mount = system("/job", kind="cgroup", options="rw,cpu,cpuacct")
    (mount / "job").mkdir()  # a process's groups are there as long as it is
    write(mount, cpu__cfs_quota_us=-1, cpu__cfs_period_us=100000)
    assert limits.cores() is None
    write(mount / "job", cpu__cfs_quota_us=300000, cpu__cfs_period_us=100000)
    assert limits.cores() == 3


def test_no_more_cores_are_used_than_the_quota_gives(system, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert (cpu.available_cores(), cpu.choose_threads()) == (64, None)
    write(system("/"), cpu__max="100000 100000")
    assert (cpu.available_cores(), cpu.choose_threads()) == (1, 1)
    write(system("/"), cpu__max="6400000 100000")
    assert (cpu.available_cores(), cpu.choose_threads()) == (64, None)


def test_slurms_share_for_each_core_counts(system, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1024")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "3")
    assert memory.available_bytes() == 3 * GB


def test_all_of_a_nodes_memory_is_no_limit(system, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "0")
    assert memory.available_bytes() == 16 * GB


def test_lines_that_are_like_no_others_are_passed_over(system) -> None:
    mount = system("/")
    write(mount, memory__max=GB, memory__current=0)
    groups = limits._PROC / "cgroup"
    groups.write_text(f"\nnothing\n4:\n{groups.read_text()}")
    assert memory.available_bytes() == GB


def test_slurms_share_counts(system, monkeypatch: pytest.MonkeyPatch) -> None:
    write(limits._PROC, status="VmRSS:\t  1048576 kB")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "4096")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    assert memory.available_bytes() == 3 * GB
    assert limits.cores() == 2


def test_ulimit_counts() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30,) * 2)\n"
        "from adain_rt.machine import memory; print(memory.available_bytes())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert 1 * GB < int(said) < 2 * GB
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
