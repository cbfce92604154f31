"""The job of ``adain-rt stylize``: every content in every style, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.jobs.inputs import read_content
from adain_rt.jobs.outputs import check_free, plan_outputs, write_result
from adain_rt.jobs.styles import Mixture, StyleArgument, join_styles, load
from adain_rt.media.pictures import Picture, frame, read_mask
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, Transfer

__all__ = ["Done", "Failed", "Outcome", "Remark", "Stills"]


@dataclass(frozen=True)
class Done:
    """A result that was written; the transfer took ``seconds``."""

    content: Path
    style: str
    output: Path
    width: int
    height: int
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A content or a style that failed, the error, which names it, and how many results are lost with it."""

    source: str
    error: AdainError
    results: int


@dataclass(frozen=True)
class Remark:
    """Something that a user should know of a content that is stylised all the same."""

    text: str


Outcome = Done | Failed | Remark


@dataclass
class Stills:
    """Stylises every content in every style, and writes the results.

    Whatever can be refused before a picture is read is refused when the job is made.

    Attributes:
        contents: files, or ``STDIN``.
        styles: several that are mixed into one, or one directory for a result in each of its styles.
        masks: files, one for each style, each as large as the content; without any, styles are mixed.
        strength: the paper's α, from 0 to 1.
        color: whose colours, as for ``Transfer``.
        size: pixels of the content's shorter side; 0 keeps the size.
        style_size: pixels of a style picture's shorter side; 0 keeps the size.
        crop: whether pictures are cropped to their central square first.
        output: a file or a directory, as for ``plan_outputs``.
        overwrite: whether existing files may be replaced.
        targets: the file of each result, by content and styles.

    Raises:
        AdainError: the styles, masks and outputs do not go together, or a result would overwrite a file.

    """

    contents: Sequence[Path]
    styles: Sequence[StyleArgument]
    masks: Sequence[Path] = ()
    strength: float = 1.0
    color: str = "none"
    size: int = 0
    style_size: int = 512
    crop: bool = False
    output: str | None = None
    overwrite: bool = False
    targets: dict[tuple[Path, Mixture], Path] = field(init=False)

    def __post_init__(self) -> None:
        mixtures = join_styles(self.styles, len(self.masks))
        self.targets = plan_outputs(self.contents, mixtures, self.output)
        files = [file for argument in self.styles for file in argument.files]
        check_free(self.targets.values(), [*self.contents, *self.masks, *files], self.overwrite)

    def run(self, stylizer: Stylizer) -> Iterator[Outcome]:
        """Do the job, and yield what happens.

        A content that fails costs no other; neither does a style of a directory.

        Raises:
            AdainError: the only style, or one of a mixture, cannot be read or encoded.

        """
        transfer = Transfer(stylizer, self.strength, self.color)
        mixes: dict[Mixture, StyleMix] = {}
        for mixture in dict.fromkeys(mixture for _, mixture in self.targets):
            try:
                mixes[mixture] = self._load(mixture, transfer)
            except AdainError as error:
                if not self.styles[0].is_directory:
                    raise
                yield Failed(str(mixture), _name_source(error, str(mixture)), len(self.contents))
        for content in self.contents if mixes else ():
            try:
                picture, regions = self._read(content)
            except AdainError as error:
                yield Failed(str(content), _name_source(error, str(content)), len(mixes))
                continue
            yield from (Remark(f"{content}: {remark}") for remark in picture.remarks)
            for mixture, mix in mixes.items():
                target = self.targets[content, mixture]
                started = time.perf_counter()
                try:
                    stylized = transfer.apply(picture, mix, regions)
                    seconds = time.perf_counter() - started
                    write_result(target, stylized)
                except AdainError as error:
                    yield Failed(str(content), _name_source(error, str(content), str(target)), 1)
                else:
                    yield Done(content, mixture.label, target, stylized.width, stylized.height, seconds)

    def _load(self, mixture: Mixture, transfer: Transfer) -> StyleMix:
        """Return styles, ready for every content."""
        sources = [load(name, transfer.stylizer, self.style_size, self.crop) for name in mixture.names]
        return StyleMix(tuple(transfer.prepare(source) for source in sources), mixture.weights)

    def _read(self, content: Path) -> tuple[Picture, Pixels | None]:
        """Return a content and its masks, uint8 (R, H, W), cropped and resized alike."""
        picture = read_content(content)
        masks = []
        for path in self.masks:
            mask = read_mask(path)
            if mask.shape != picture.pixels.shape[:2]:
                raise AdainError(
                    f"mask {path}: is {mask.shape[1]}x{mask.shape[0]} pixels and {content} is "
                    f"{picture.width}x{picture.height}; make the mask as large as the content"
                )
            masks.append(frame(mask, self.size, self.crop))
        return picture.fit(self.size, self.crop), np.stack(masks) if masks else None


def _name_source(error: AdainError, source: str, target: str | None = None) -> AdainError:
    """Return an error that names what failed."""
    if source in str(error) or (target is not None and target in str(error)):
        return error
    return AdainError(f"{source}: {error.message}", hint=error.hint)
