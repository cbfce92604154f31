"""Commands of ours, in processes of their own, that halt where a test says, however fast or busy the machine is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

__all__ = ["go_on", "start", "wait_until_halted"]

_PROGRAM = """
import fnmatch, os, signal, sys

event, pattern, left, before = sys.argv[1:5]
del sys.argv[1:5]
left = int(left)

def halt(name, arguments):
    global left
    paths = [path for path in arguments if isinstance(path, (str, os.PathLike))] if name == event else []
    if fnmatch.filter(paths, pattern):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)

sys.addaudithook(halt)
exec(before)
from adain_rt.cli import main
main()
"""


def start(*arguments: str, halt: tuple[str, str, int] = ("", "", 0), before: str = "") -> subprocess.Popen[str]:
    """Begin to run the command.

    Args:
        arguments: of ``adain-rt``.
        halt: when it halts, never by default: just before Python's audit event of this name that has a path of this
            pattern comes for the n-th time. ``("os.rename", "*/state.json", 2)`` is when one state is in place, and
            the next is about to be.
        before: code that the process runs first.

    """
    event, pattern, times = halt
    command = [sys.executable, "-c", _PROGRAM, event, pattern, str(times), before, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own program


def wait_until_halted(process: subprocess.Popen[str]) -> None:
    """Return when the command stands still."""
    seen = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert seen is not None
    assert seen.si_code == os.CLD_STOPPED, process.communicate()


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a command that halted go on."""
    process.send_signal(signal.SIGCONT)
