"""What is done of a clip that is being painted, so that a later run can go on with it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from adain_models.errors import AdainError
from adain_models.files import explain, replacing
from adain_rt.jobs.work import WorkFolder
from adain_rt.media.clips import PacketFile, is_sequence
from adain_rt.steady import State

__all__ = ["ClipWork"]

_PACKETS, _STATE = "frames", "state.npz"


class ClipWork(WorkFolder):
    """A folder beside a result with its encoded frames, and what the next frame needs of those before it.

    Args:
        target: the result.
        painting: what ``identify_painting`` returns.
        resume: whether to go on with what an interrupted run of the same painting has done.

    Attributes:
        frames: how many frames are done.
        state: of the Stream that painted them.
        packets: these frames, encoded, unless they are pictures in files of their own.

    Raises:
        AdainError: another run paints the same result, or the folder cannot be written.

    """

    def __init__(self, target: Path, painting: str, resume: bool) -> None:
        self._target, self._painting = target, painting
        self.frames, self.state = 0, State()
        try:
            super().__init__(target)
            self._begin(resume)
        except OSError as error:
            raise self._explain(error) from None

    def _begin(self, resume: bool) -> None:
        """Go on with what is done, or begin anew. If the folder cannot be written, it is left as on an interruption."""
        try:
            if resume:
                self._load()
            if not self.frames:
                self.clear()
                self.packets = PacketFile(self.path / _PACKETS)
        except OSError as error:
            super().__exit__(type(error), error, error.__traceback__)
            raise

    def note(self, frames: int, state: State) -> None:
        """Note that so many frames are encoded, and the state after them.

        Raises:
            AdainError: the folder cannot be written.

        """
        try:
            size = self.packets.save()
            done = {"frames": frames, "size": size, "checksum": self.packets.checksum}
            with replacing(self.path / _STATE) as aside, aside.open("wb") as file:
                np.savez(file, painting=np.array(self._painting), done=np.array(json.dumps(done)), **state)  # type: ignore[arg-type]
        except OSError as error:
            raise self._explain(error) from None
        self.frames = frames

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the files, and remove what no run needs."""
        self.packets.close()
        self.worth = self.frames > 0 or is_sequence(self._target)  # numbered pictures look whole without their folder
        super().__exit__(kind, error, traceback)

    def _load(self) -> None:
        """Take up what is done, if it is of this painting and undamaged."""
        # Whatever NumPy and zipfile raise of a damaged file. NumPy unpickles nothing.
        with suppress(Exception), np.load(self.path / _STATE) as file:
            state = dict(file)
            painting, done = str(state.pop("painting")), json.loads(str(state.pop("done")))
            if painting != self._painting:
                return
            packets = PacketFile(self.path / _PACKETS, done["size"])
            if packets.checksum == done["checksum"]:
                self.packets, self.frames, self.state = packets, done["frames"], state
            else:
                packets.close()

    def _explain(self, error: OSError) -> AdainError:
        return AdainError(f"{self._target}: cannot be written ({explain(error)})")
