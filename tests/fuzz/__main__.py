"""``make fuzz``: looks for files that end otherwise than in a picture or in one line.

Hypothesis changes sound files in ways that keep much of them; then atheris, where it is installed, follows which
branches of Python a change reaches. A file that fails is kept in ``build/fuzz``, and the exit status is 1.

    python -m tests.fuzz [MINUTES] [TARGET...]
"""

from __future__ import annotations

import faulthandler
import subprocess
import sys
import time
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.fuzz.targets import TARGETS, probe

FOUND = Path("build/fuzz")
LONGEST = 60  # seconds for one file
ROUND = 100  # files between two looks at the clock


@st.composite
def changed(draw: Any, seeds: list[bytes]) -> bytes:
    """Draw a sound file with a few changes: bytes, numbers, lengths, and parts of other files."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        # Most of what a decoder trusts stands at the beginning; the rest is anywhere.
        last = max(0, len(data) - 1)
        at = draw(st.one_of(st.integers(0, min(last, 64)), st.integers(0, last)))
        kind = draw(st.sampled_from(["byte", "number", "cut", "drop", "repeat", "splice", "text"]))
        length = draw(st.integers(1, 64))
        if kind == "byte":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "number":
            value = draw(st.sampled_from([0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]))
            size = draw(st.sampled_from([2, 4, 8]))
            data[at : at + size] = (value % 256**size).to_bytes(size, draw(st.sampled_from(["little", "big"])))
        elif kind == "cut":
            del data[at + 1 :]
        elif kind == "drop":
            del data[at : at + length]
        elif kind == "repeat":
            data[at:at] = data[at : at + length] * draw(st.integers(1, 50))
        elif kind == "splice":
            other = draw(st.sampled_from(seeds))
            start = draw(st.integers(0, len(other)))
            data[at:] = other[start:]
        else:
            data[at : at + length] = draw(st.text(max_size=64)).encode("utf-8", "surrogatepass")
    return _with_checksums(bytes(data)) if draw(st.booleans()) else bytes(data)


def _with_checksums(data: bytes) -> bytes:
    """Mend the checksums of a PNG, so that what it changes is looked at."""
    mended, at = bytearray(data), 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        mended[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big") if end + 4 <= len(data) else b""
        at = end + 4
    return bytes(mended)


def change(name: str, seconds: float) -> int:
    """Read changed files for some seconds, and return how many."""
    target, count = TARGETS[name], 0
    seeds = list(target.seeds().values())

    @settings(max_examples=ROUND, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(changed(seeds))
    def read(data: bytes) -> None:
        nonlocal count
        count += 1
        keep = FOUND / f"{name}.last"
        keep.write_bytes(data)  # a hang or a crash leaves it there
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        probe(target, data)
        faulthandler.cancel_dump_traceback_later()

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        read()
    return count


def follow(name: str, seconds: float) -> None:
    """Let atheris look for files for some seconds.

    Raises:
        CalledProcessError: it found one.

    """
    corpus = FOUND / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed, data in TARGETS[name].seeds().items():
        (corpus / seed).write_bytes(data)
    limits = [f"-max_total_time={max(1, int(seconds))}", f"-timeout={LONGEST}", "-rss_limit_mb=4096", "-max_len=20000"]
    options = [*limits, f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=1", str(corpus)]
    command = [sys.executable, "-m", "tests.fuzz.guided", name, *options]
    subprocess.run(command, check=True)  # noqa: S603 - our own program


def main(arguments: list[str]) -> None:
    minutes = float(arguments[0]) if arguments else 10.0
    names = arguments[1:] or list(TARGETS)
    FOUND.mkdir(parents=True, exist_ok=True)
    weights = {name: 8 if name == "picture" else 1 for name in names}
    guided = find_spec("atheris") is not None
    share = 60 * minutes / sum(weights.values()) / (1 + guided)
    for name in names:
        print(f"{name}: {change(name, share * weights[name])} changed files", flush=True)
        if guided:
            follow(name, share * weights[name])
    print("nothing found" if guided else "nothing found; `pip install atheris` looks further")


if __name__ == "__main__":
    main(sys.argv[1:])
