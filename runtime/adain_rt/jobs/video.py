"""The job of ``adain-rt video``: every clip in every style, one after the other."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice, zip_longest
from pathlib import Path

import av

from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_rt.contract import Pixels
from adain_rt.jobs.clips import CLIPS, Masks
from adain_rt.jobs.clipwork import ClipWork
from adain_rt.jobs.inputs import STDIN
from adain_rt.jobs.outputs import STDOUT, check_free, is_stream, plan_outputs
from adain_rt.jobs.overlap import run_ahead
from adain_rt.jobs.stills import Failed, Remark, Skipped, name_source
from adain_rt.jobs.styles import Mixture, StyleArgument, join_styles, load
from adain_rt.jobs.work import find_work, identify_painting, is_own
from adain_rt.media.clips import (
    CONTAINERS,
    PIPED,
    ClipWriter,
    Frame,
    OpenClip,
    Reading,
    SequenceWriter,
    choose_codec,
    find_container,
    find_numbered,
    is_sequence,
    list_numbered,
    open_clip,
)
from adain_rt.steady import State, check_steady
from adain_rt.stream import Stream
from adain_rt.strokes import STROKES, check_strokes
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, Transfer
from adain_rt.underpainting import UNDERPAINTING, check_underpainting

__all__ = ["Began", "Done", "Outcome", "Painted", "Repeated", "Video"]

_AHEAD = 4
"""Frames that each step may be ahead of the next: enough for steps of uneven length, and little memory."""

_PART = 250
"""Frames after which it is noted what is done: as many as x264 and x265 put between key frames at most."""


@dataclass(frozen=True)
class Began:
    """A result that is begun, and how many frames it will have, if the clip says so."""

    output: Path
    frames: int | None


@dataclass(frozen=True)
class Repeated:
    """So many frames of a result are written again as an interrupted run has painted them."""

    output: Path
    frames: int


@dataclass(frozen=True)
class Painted:
    """So many frames of a result are painted."""

    output: Path
    frames: int


@dataclass(frozen=True)
class Done:
    """A result that was written.

    Attributes:
        clip: what it was made of.
        style: the styles' label.
        output: the file.
        width: of its frames in pixels.
        height: likewise.
        frames: how many there are.
        earlier: how many of them an interrupted run had painted.
        seconds: how long the others took.
        damage: what is wrong with the clip, of which all that could be read was painted; ``None`` if nothing is.

    """

    clip: Path
    style: str
    output: Path
    width: int
    height: int
    frames: int
    earlier: int
    seconds: float
    damage: str | None


Outcome = Began | Repeated | Painted | Done | Skipped | Failed | Remark


@dataclass
class Video:
    """Paints every clip in every style, and writes the results.

    Whatever can be refused before a clip is read is refused when the job is made.

    Attributes:
        clips: files, image sequences, or ``STDIN``.
        styles: several that are mixed into one, or one directory for a result in each of its styles.
        masks: pictures or clips, one for each style, each as large as the clip; without any, styles are mixed.
        strength: the paper's α, from 0 to 1.
        strokes: how large they are, as for ``paint``.
        fit: whether styles are fitted to the frames, as for ``Stream``.
        underpainting: the deviation of the tones under them, as for ``Stream``.
        color: whose colours, as for ``Transfer``; ``coral`` recolours the style for the first frame of each shot.
        size: pixels of the clip's shorter side; 0 keeps the size.
        max_size: the most pixels of the clip's longer side; 0 sets no limit.
        style_size: pixels of a style picture's shorter side; 0 keeps the size.
        start: the second to begin at.
        duration: how many seconds to paint; ``None`` is all.
        rate: frames a second of image sequences.
        steady: how frames are kept from flickering, as for ``Stream``.
        codec: one of ``CODECS``; ``None`` is the container's default.
        crf: the quality; ``None`` is the codec's default.
        output: a file, a directory, or an image sequence, as for ``plan_outputs``.
        overwrite: whether existing files may be replaced.
        resume: whether a result is skipped if its file exists, and an interrupted run is gone on with.
        targets: the file of each result, by clip and styles.

    Raises:
        AdainError: there are no such strokes, or no such underpainting; the styles, masks and outputs do not go
            together; or a result would overwrite a file.

    """

    clips: Collection[Path]
    styles: Sequence[StyleArgument]
    masks: Sequence[Path] = ()
    strength: float = 1.0
    strokes: int = STROKES
    fit: bool = True
    underpainting: float = UNDERPAINTING
    color: str = "none"
    size: int = 0
    max_size: int = 0
    style_size: int = 512
    start: float = 0.0
    duration: float | None = None
    rate: Fraction = Fraction(25)
    steady: str = "flow"
    codec: str | None = None
    crf: int | None = None
    output: str | None = None
    overwrite: bool = False
    resume: bool = False
    targets: dict[tuple[Path, Mixture], Path] = field(init=False)

    def __post_init__(self) -> None:
        check_strokes(self.strokes)
        check_underpainting(self.underpainting)
        check_steady(self.steady)
        mixtures = join_styles(self.styles, len(self.masks))
        self.targets = plan_outputs(self.clips, mixtures, self.output, {}, CLIPS)
        if self.resume and self.overwrite:
            raise AdainError(
                "existing files cannot be both skipped and replaced", hint="leave out `resume` or `overwrite`"
            )
        if self.masks and self.steady == "statistics":
            raise AdainError("steady statistics does not go with masks", hint="use another `steady`")
        begun = set(self.unfinished) if self.resume else set()
        self._replaced = set(self.targets.values()) if self.overwrite else begun
        self._finished = {
            pair: path for pair, path in self.targets.items() if self.resume and path not in begun and _find(path)
        }
        self._waiting = {pair: path for pair, path in self.targets.items() if pair not in self._finished}
        files = [file for argument in self.styles for file in argument.files]
        inputs = [*self.clips, *self.masks, *files]
        check_free(self._finished.values(), inputs, overwrite=True)
        for path in self._waiting.values():
            check_free([path], inputs, path in self._replaced)
            if is_sequence(path):
                if path not in self._replaced and (there := find_numbered(path)):
                    raise AdainError(f"{there}: exists already", hint="add `overwrite` to replace it")
            else:
                choose_codec(path, find_container(_name_format(path)), self.codec)

    @property
    def unfinished(self) -> list[Path]:
        """The results of which an interrupted run has left what a run with ``resume`` goes on with."""
        return [target for target in self.targets.values() if is_own(find_work(target))]

    def run(self, stylizer: Stylizer) -> Generator[Outcome, None, None]:
        """Do the job, and yield what happens.

        A clip that fails costs no other.

        Raises:
            AdainError: a style cannot be read or encoded.

        """
        transfer = Transfer(stylizer, self.strength, self.color, self.strokes, self.fit, self.underpainting)
        for (clip, mixture), path in self._finished.items():
            yield Skipped(clip, mixture.label, path)
        for mixture in dict.fromkeys(mixture for _, mixture in self._waiting):
            mix = self._load(mixture, transfer)
            for (clip, other), target in self._waiting.items():
                if other != mixture:
                    continue
                try:
                    yield from self._paint(clip, mixture, target, mix, transfer)
                except AdainError as error:
                    output = "stdout" if target == STDOUT else str(target)
                    yield Failed(str(clip), name_source(error, str(clip), output), 1)

    def _paint(
        self, clip: Path, mixture: Mixture, target: Path, mix: StyleMix, transfer: Transfer
    ) -> Iterator[Outcome]:
        """Paint a clip: decode, paint and encode, each step in a thread of its own."""
        started = time.perf_counter()
        reading = Reading(self.start, self.duration, self.rate, self.size, self.max_size)
        with ExitStack() as stack:
            reader = open_clip(None if clip == STDIN else clip, reading)
            stack.callback(reader.close)
            masks = stack.enter_context(Masks(self.masks, reader, reading))
            work = self._open_work(clip, target, mix, transfer, stack)
            if self.resume and target in self._replaced and work is not None and not work.frames:
                yield Remark(
                    f"{target}: is begun anew, since nothing is done of this clip with these styles and options"
                )
            writer = self._open_writer(target, reader, work, stack)
            stack.callback(writer.close)
            frames, before, earlier = reader.frames(), 0, 0 if work is None else work.frames
            yield Began(target, reader.facts.frames)
            stream = Stream(
                transfer.stylizer,
                lambda frame: transfer.find_styles(frame, mix, apart=bool(self.masks)),
                strength=self.strength,
                strokes=self.strokes,
                fit=self.fit,
                underpainting=self.underpainting,
                steady=self.steady,
                keep_chroma=self.color == "luma",
            )
            if work is not None:
                stream.load(work.state)
                before = yield from _repeat(target, reader, frames, writer, work)
            decode = ((frame, masks.at(frame)) for frame in frames)
            decoded = stack.enter_context(closing(run_ahead(decode, _AHEAD)))
            paint = _paint_frames(decoded, stream, reader.facts.time_base, before)
            painted = stack.enter_context(closing(run_ahead(paint, _AHEAD)))
            count = 0
            for frame, state in painted:
                if work is not None and state is not None:
                    writer.begin_part()
                    work.note(earlier + count, state)
                writer.copy(reader.take_packets())
                writer.write(frame)
                count += 1
                yield Painted(target, count)
            writer.copy(reader.take_packets())
            writer.finish()
        yield from (Remark(f"{clip}: {remark}") for remark in reader.remarks)
        yield from (Remark(f"{target}: {remark}") for remark in writer.remarks)
        facts, seconds = reader.facts, time.perf_counter() - started
        size = facts.width, facts.height
        yield Done(clip, mixture.label, target, *size, earlier + count, earlier, seconds, reader.damage)

    def _open_work(
        self, clip: Path, target: Path, mix: StyleMix, transfer: Transfer, stack: ExitStack
    ) -> ClipWork | None:
        """Return what is done of a result; ``None`` if a pipe or an animation has no parts."""
        inputs = (clip, *self.masks)
        if any(is_stream(path) for path in (target, *inputs)):
            return None
        if not is_sequence(target) and find_container(target).animation:
            return None
        files = [file for path in inputs for file in (list_numbered(path) if is_sequence(path) else [path])]
        asked = (self.size, self.max_size, self.start, self.duration, self.rate, self.steady, self.codec, self.crf)
        more = (clip.absolute(), self.masks, target.suffix, *asked, av.__version__)
        painting = identify_painting(transfer, mix, files, *more)
        work = ClipWork(target, painting, self.resume)
        stack.push(work)
        return work

    def _open_writer(
        self, target: Path, reader: OpenClip, work: ClipWork | None, stack: ExitStack
    ) -> ClipWriter | SequenceWriter:
        """Return what writes a result; a file is written aside, and renamed when the stack is left without an error."""
        if is_sequence(target):
            return SequenceWriter(target, reader, 0 if work is None else work.frames)
        container = find_container(_name_format(target))
        codec = choose_codec(target, container, self.codec)
        if target == STDOUT:
            return ClipWriter(None, "stdout", container, codec, reader, self.crf)
        check_free([target], [], target in self._replaced)
        aside = stack.enter_context(replacing(target))
        packets = None if work is None else work.packets
        return ClipWriter(aside, str(target), container, codec, reader, self.crf, packets)

    def _load(self, mixture: Mixture, transfer: Transfer) -> StyleMix:
        """Return styles, ready for every clip."""
        sources = [load(name, transfer.stylizer, self.style_size, crop=False) for name in mixture.names]
        return StyleMix(tuple(transfer.prepare(source) for source in sources), mixture.weights)


def _repeat(
    target: Path, reader: OpenClip, frames: Iterator[Frame], writer: ClipWriter | SequenceWriter, work: ClipWork
) -> Generator[Outcome, None, int]:
    """Write again what an interrupted run has encoded, and return the time of the last of its frames."""
    count = before = 0
    for frame, packet in zip_longest(islice(frames, work.frames), work.packets.read(reader.facts.time_base)):
        writer.copy(reader.take_packets())
        if packet is not None:
            writer.repeat(packet)
        if frame is not None:
            before = frame.pts
            count += 1
            yield Repeated(target, count)
    return before


def _paint_frames(
    decoded: Iterator[tuple[Frame, Pixels | None]], stream: Stream, time_base: Fraction, before: int
) -> Iterator[tuple[Frame, State | None]]:
    """Yield frames with their pictures in place of their pixels, and where a part begins, the state before it.

    Args:
        decoded: the frames, and their masks.
        stream: paints them.
        time_base: the unit of their times, in seconds.
        before: the time of the frame before the first.

    """
    for count, (frame, masks) in enumerate(decoded):
        state = stream.save() if count and count % _PART == 0 else None
        seconds = float((frame.pts - before) * time_base)
        yield replace(frame, pixels=stream.paint(frame.pixels, seconds, masks, frame.alpha)), state
        before = frame.pts


def _find(path: Path) -> bool:
    """Whether a result is there."""
    return find_numbered(path) is not None if is_sequence(path) else path.is_file()


def _name_format(path: Path) -> Path:
    """Return a path whose suffix names the format of a result: a pipe or a device need not have one."""
    return path if path.suffix.lower() in CONTAINERS or not is_stream(path) else Path("stdout" + PIPED)
