"""The job of ``adain-rt stylize``: every content in every style, one after the other."""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.errors import TooManyPixels
from adain_rt.jobs.huge import HugePainting
from adain_rt.jobs.inputs import STDIN, fit_content, name_fitted, read_content
from adain_rt.jobs.outputs import STDOUT, check_free, identify, is_stream, plan_outputs, write_result
from adain_rt.jobs.styles import Mixture, StyleArgument, join_styles, load
from adain_rt.jobs.work import find_work
from adain_rt.media.pictures import Picture, frame, read_mask
from adain_rt.progress import Progress
from adain_rt.strokes import STROKES, check_strokes
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, Transfer
from adain_rt.underpainting import UNDERPAINTING, check_underpainting

__all__ = ["Done", "Failed", "Outcome", "Remark", "Skipped", "Stills", "name_source"]


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
class Skipped:
    """A result that was there already, from a run that is resumed."""

    content: Path
    style: str
    output: Path


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


Outcome = Done | Skipped | Failed | Remark


@dataclass
class Stills:
    """Stylises every content in every style, and writes the results.

    Whatever can be refused before a picture is read is refused when the job is made.

    Attributes:
        contents: files, or ``STDIN``. A mapping, such as ``expand`` returns, gives each the folder in the output
            directory for its results.
        styles: several that are mixed into one, or one directory for a result in each of its styles.
        masks: files, one for each style, each as large as the content; without any, styles are mixed.
        strength: the paper's α, from 0 to 1.
        color: whose colours, as for ``Transfer``.
        size: pixels of the content's shorter side; 0 keeps the size.
        max_size: the most pixels of the content's longer side, as for ``frame``; 0 sets no limit.
        style_size: pixels of a style picture's shorter side; 0 keeps the size.
        crop: whether pictures are cropped to their central square first.
        strokes: how large they are, as for ``paint``.
        fit: whether styles are fitted to each content.
        underpainting: the deviation of the tones under it, as for ``paint``.
        output: a file or a directory, as for ``plan_outputs``.
        overwrite: whether existing files may be replaced.
        resume: whether a result is skipped if its file exists. The file is not compared with anything: results are
            written whole or not at all. A content that is another's result is left out.
        progress: is called with the share of the result under way that is done, if it is computed in tiles.
        targets: the file of each result, by content and styles.
        finished: those of the targets that are skipped.
        waiting: the others.

    Raises:
        AdainError: there are no such strokes, or no such underpainting; the styles, masks and outputs do not go
            together; or a result would overwrite a file.

    """

    contents: Collection[Path]
    styles: Sequence[StyleArgument]
    masks: Sequence[Path] = ()
    strength: float = 1.0
    color: str = "none"
    size: int = 0
    max_size: int = 0
    style_size: int = 512
    crop: bool = False
    strokes: int = STROKES
    fit: bool = True
    underpainting: float = UNDERPAINTING
    output: str | None = None
    overwrite: bool = False
    resume: bool = False
    progress: Progress | None = None
    targets: dict[tuple[Path, Mixture], Path] = field(init=False)
    finished: dict[tuple[Path, Mixture], Path] = field(init=False)
    waiting: dict[tuple[Path, Mixture], Path] = field(init=False)

    def __post_init__(self) -> None:
        check_strokes(self.strokes)
        check_underpainting(self.underpainting)
        mixtures = join_styles(self.styles, len(self.masks))
        folders = self.contents if isinstance(self.contents, Mapping) else {}
        self.targets = plan_outputs(self.contents, mixtures, self.output, folders)
        if self.resume:
            if self.overwrite:
                raise AdainError(
                    "existing files cannot be both skipped and replaced", hint="leave out `resume` or `overwrite`"
                )
            self._leave_out_results()
        self.finished = {pair: path for pair, path in self.targets.items() if self.resume and path.is_file()}
        self.waiting = {pair: path for pair, path in self.targets.items() if pair not in self.finished}
        files = [file for argument in self.styles for file in argument.files]
        inputs = [*self.contents, *self.masks, *files]
        check_free(self.finished.values(), inputs, overwrite=True)
        check_free(self.waiting.values(), inputs, self.overwrite)

    @property
    def unfinished(self) -> list[Path]:
        """The folders that hold what an interrupted run has done of huge pictures."""
        return [work for target in self.targets.values() if (work := find_work(target)).is_dir()]

    def run(self, stylizer: Stylizer) -> Iterator[Outcome]:
        """Do the job, and yield what happens.

        A content that fails costs no other; neither does a style of a directory.

        Raises:
            AdainError: the only style, or one of a mixture, cannot be read or encoded.

        """
        transfer = Transfer(stylizer, self.strength, self.color, self.strokes, self.fit, self.underpainting)
        for (content, mixture), path in self.finished.items():
            yield Skipped(content, mixture.label, path)
        mixes: dict[Mixture, StyleMix] = {}
        for mixture in dict.fromkeys(mixture for _, mixture in self.waiting):
            try:
                mixes[mixture] = self.load(mixture, transfer)
            except AdainError as error:
                if not self.styles[0].is_directory:
                    raise
                lost = sum(each == mixture for _, each in self.waiting)
                yield Failed(str(mixture), name_source(error, str(mixture)), lost)
        written: dict[Hashable, Path] = {}
        for content in self.contents:
            targets = {each: self.waiting[content, each] for each in mixes if (content, each) in self.waiting}
            if targets:
                yield from self.paint(content, targets, mixes, transfer, written)

    def load(self, mixture: Mixture, transfer: Transfer) -> StyleMix:
        """Return styles, ready for every content.

        Raises:
            AdainError: a style cannot be read or encoded.

        """
        sources = [load(name, transfer.stylizer, self.style_size, self.crop) for name in mixture.names]
        return StyleMix(tuple(transfer.prepare(source) for source in sources), mixture.weights)

    def paint(
        self,
        content: Path,
        targets: Mapping[Mixture, Path],
        mixes: Mapping[Mixture, StyleMix],
        transfer: Transfer,
        written: dict[Hashable, Path],
    ) -> Iterator[Outcome]:
        """Stylise one content, write the results, and yield what happens to each, in the order of the targets.

        Args:
            content: the picture.
            targets: the file of each result.
            mixes: the styles, as ``load`` returns them.
            transfer: has the strength and the colours.
            written: says whose each file is; the results are added.

        """
        try:
            picture, regions, name = self._read(content)
        except TooManyPixels as error:
            yield from self._paint_huge(content, targets, mixes, transfer, written, error)
            return
        except AdainError as error:
            yield Failed(str(content), name_source(error, str(content)), len(targets))
            return
        yield from (Remark(f"{content}: {remark}") for remark in picture.remarks)
        for mixture, target in targets.items():
            started = time.perf_counter()
            try:
                stylized = transfer.apply(picture, mixes[mixture], regions, self.progress)
                seconds = time.perf_counter() - started
                self._check_still_free(target, written)
                write_result(target, stylized)
            except AdainError as error:
                output = "stdout" if target == STDOUT else str(target)
                yield Failed(str(content), name_source(error, name, output), 1)
            else:
                written[identify(target)] = content
                yield Done(content, mixture.label, target, stylized.width, stylized.height, seconds)

    def _paint_huge(
        self,
        content: Path,
        targets: Mapping[Mixture, Path],
        mixes: Mapping[Mixture, StyleMix],
        transfer: Transfer,
        written: dict[Hashable, Path],
        too_many: TooManyPixels,
    ) -> Iterator[Outcome]:
        """Stylise a content that has too many pixels to be read at once."""
        for mixture, target in targets.items():
            started = time.perf_counter()
            try:
                self._check_huge(content, target, too_many)
                self._check_still_free(target, written)
                mix = mixes[mixture]
                painting = HugePainting(content, target, mix, transfer, self.masks, self.resume, self.progress)
                width, height = painting.paint()
            except AdainError as error:
                yield Failed(str(content), name_source(error, str(content), str(target)), 1)
            else:
                written[identify(target)] = content
                yield Done(content, mixture.label, target, width, height, time.perf_counter() - started)

    def _check_huge(self, content: Path, target: Path, too_many: TooManyPixels) -> None:
        """Check that a content with too many pixels is painted from a file into a file, in its own size."""
        if self.size or self.max_size or self.crop:
            raise AdainError(too_many.message, hint="leave out `size`, `max_size` and `crop`")
        if content == STDIN or is_stream(target):
            raise AdainError(too_many.message, hint="paint it from a file into a file")

    def _leave_out_results(self) -> None:
        """Leave out the contents that are results of others: a directory that was painted into itself holds both."""
        makers = {identify(path): content for (content, _), path in self.targets.items() if path.is_file()}
        results = {content for content in self.contents if makers.get(identify(content), content) != content}
        self.contents = [content for content in self.contents if content not in results]
        self.targets = {pair: path for pair, path in self.targets.items() if pair[0] not in results}

    def _check_still_free(self, target: Path, written: Mapping[Hashable, Path]) -> None:
        """Check what could not be known before: which names the file system takes for one, and what others wrote."""
        if (owner := written.get(identify(target))) is not None:
            raise AdainError(f"{target}: is the result of {owner} already under a like name; rename one of the two")
        check_free([target], [], self.overwrite)

    def _read(self, content: Path) -> tuple[Picture, Pixels | None, str]:
        """Return a content and its masks, uint8 (R, H, W), cropped and resized alike, and its name in errors."""
        picture = read_content(content)
        fitted = fit_content(picture, self.size, self.crop, self.max_size)
        masks = []
        for path in self.masks:
            mask = read_mask(path)
            if mask.shape != picture.pixels.shape[:2]:
                raise AdainError(
                    f"mask {path}: is {mask.shape[1]}x{mask.shape[0]} pixels and {content} is "
                    f"{picture.width}x{picture.height}; make the mask as large as the content"
                )
            masks.append(frame(mask, self.size, self.crop, self.max_size))
        return fitted, np.stack(masks) if masks else None, name_fitted(content, picture, fitted)


def name_source(error: AdainError, source: str, target: str | None = None) -> AdainError:
    """Return an error that names what failed: its source, unless it names that or the target already."""
    if source in str(error) or (target is not None and target in str(error)):
        return error
    return AdainError(f"{source}: {error.message}", hint=error.hint)
