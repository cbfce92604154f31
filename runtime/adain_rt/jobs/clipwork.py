"""What is done of a clip that is being painted, so that a later run can go on with it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from zipfile import BadZipFile

import numpy as np

from adain_models.errors import AdainError
from adain_models.files import explain, replacing
from adain_rt.jobs.work import find_work
from adain_rt.media.clips import PacketFile, is_sequence
from adain_rt.steady import State

__all__ = ["ClipWork"]

_PACKETS, _STATE = "frames", "state.npz"


class ClipWork:
    """A folder beside a result with its encoded frames, and what the next frame needs of those before it.

    It is a context manager. The folder is removed if the block succeeds, or if there is nothing to go on with.

    Args:
        target: the result.
        painting: what ``identify_painting`` returns.
        resume: whether to go on with what an interrupted run of the same painting has done.

    Attributes:
        frames: how many frames are done.
        state: of the Stream that painted them.
        packets: these frames, encoded, unless they are pictures in files of their own.

    Raises:
        AdainError: the folder cannot be written.

    """

    def __init__(self, target: Path, painting: str, resume: bool) -> None:
        self._target, self._folder, self._painting = target, find_work(target), painting
        self.frames, self.state, size = 0, State(), 0
        try:
            if resume:
                size = self._load()
            if not self.frames:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir(parents=True)
            self.packets = PacketFile(self._folder / _PACKETS, size)
        except OSError as error:
            raise self._explain(error) from None

    def note(self, frames: int, state: State) -> None:
        """Note that so many frames are encoded, and the state after them.

        Raises:
            AdainError: the folder cannot be written.

        """
        try:
            about = {"painting": np.array(self._painting), "frames": np.array(frames)}
            size = np.array(self.packets.save())
            with replacing(self._folder / _STATE) as aside, aside.open("wb") as file:
                np.savez(file, **about, size=size, **state)  # type: ignore[arg-type]
        except OSError as error:
            raise self._explain(error) from None
        self.frames = frames

    def __enter__(self) -> ClipWork:  # noqa: PYI034 - Self needs Python 3.11
        """Return the work itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the files, and remove what no run needs."""
        self.packets.close()
        worth = self.frames or is_sequence(self._target)  # numbered pictures look whole without their folder
        if kind is None or not worth:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _load(self) -> int:
        """Take up what is done, and return the size of its packets; 0 if nothing is done of this painting."""
        with suppress(OSError, EOFError, ValueError, KeyError, BadZipFile), np.load(self._folder / _STATE) as file:
            state = {name: file[name] for name in file.files}
            painting, frames, size = str(state.pop("painting")), int(state.pop("frames")), int(state.pop("size"))
            if painting == self._painting and (self._folder / _PACKETS).stat().st_size >= size:
                self.frames, self.state = frames, state
                return size
        return 0

    def _explain(self, error: OSError) -> AdainError:
        return AdainError(f"{self._target}: cannot be written ({explain(error)})")
