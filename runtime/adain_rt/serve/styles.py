"""The styles that a server has: the model's presets, and those that it has measured from pictures."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from adain_models.errors import AdainError
from adain_rt.jobs.styles import frame_style, preset_path, presets
from adain_rt.serve.forms import Upload, Value
from adain_rt.serve.limits import Room
from adain_rt.serve.pictures import read_within
from adain_rt.serve.refusals import Refusal
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleSource

__all__ = ["ENCODED_SIZE", "Entry", "Styles"]

ENCODED_SIZE = 512
"""Pixels of the shorter side at which a picture is measured, as on the command line."""

_LISTED = (ENCODED_SIZE, False)
"""The size and the crop of the styles that are found by their ids."""

_MOST_BYTES = 256 << 20
_SHA256_LENGTH = 64
_CODE_BYTES = 1 << 12


@dataclass(frozen=True)
class Entry:
    """A style that can be asked for by its id.

    Attributes:
        id: a preset's name, or the SHA-256 of the file that the style was measured from.
        kind: ``preset`` or ``encoded``.
        source: the code, and the picture if there is one: ``coral`` recolours it.

    """

    id: str
    kind: str
    source: StyleSource

    @property
    def code(self) -> Style:
        """The style code."""
        assert self.source.code is not None  # noqa: S101 - it is encoded before it is kept
        return self.source.code

    def describe(self) -> dict[str, str]:
        """Return what a list says of the style."""
        about = {key: value for key, value in self.code.about.items() if key in {"title", "artist", "year"}}
        return {"id": self.id, "name": self.source.label, "kind": self.kind, **about}


class Styles:
    """Finds styles, and keeps the codes of pictures by the hash of their files. It may be used from several threads.

    The least recently used are dropped when all take more than 256 MB.

    Args:
        stylizer: measures pictures, and has the presets.
        pixels: the most that a picture may have.
        room: for the pictures that are being measured.

    """

    def __init__(self, stylizer: Stylizer, pixels: int, room: Room) -> None:
        self._stylizer = stylizer
        self._pixels = pixels
        self._room = room
        self._presets = {name: _load_preset(path) for name, path in presets(stylizer).items()}
        self._measured: OrderedDict[tuple[str, int, bool], Entry] = OrderedDict()
        self._listed: set[str] = set()
        self._bytes = 0
        self._lock = Lock()

    def list(self) -> list[Entry]:
        """Return the presets, and the styles that were put in by ``add``."""
        with self._lock:
            added = [entry for entry in self._measured.values() if entry.id in self._listed]
        return [*self._presets.values(), *added]

    def add(self, upload: Upload) -> Entry:
        """Return the entry of a picture or a saved style, which can be found by its id from now on.

        Raises:
            AdainError: the file cannot be read or encoded, or the style is another model's.

        """
        entry = self._measure(upload, *_LISTED)
        with self._lock:
            self._listed.add(entry.id)
        return entry

    def find(self, name: str) -> Entry:
        """Return a preset by its name, with or without its @, or another style by its id.

        Raises:
            Refusal: there is none (404).

        """
        name = name.strip()
        if name.removeprefix("@") in self._presets:
            return self._presets[name.removeprefix("@")]
        if len(name) == _SHA256_LENGTH:
            with self._lock:
                key = (name.lower(), *_LISTED)
                entry = self._measured.get(key)
                if entry is None:
                    raise Refusal(404, f"style {name}: is not here, or not any more", hint="send its picture again")
                self._measured.move_to_end(key)
            return entry
        try:
            path = preset_path(name.removeprefix("@"), self._stylizer)
        except AdainError as error:
            raise Refusal(404, error.message, hint=error.hint) from None
        return _load_preset(path)  # it came after the server began

    def source(self, style: Value, size: int, crop: bool) -> StyleSource:
        """Return a style that a request names or sends, with its code.

        Args:
            style: a name, an id or a file.
            size: pixels of the shorter side of a picture; 0 keeps the size.
            crop: whether a picture is cropped to its central square first.

        Raises:
            AdainError: see ``find`` and ``add``.

        """
        return (self.find(style) if isinstance(style, str) else self._measure(style, size, crop)).source

    def _measure(self, upload: Upload, size: int, crop: bool) -> Entry:
        key = hashlib.sha256(upload.data).hexdigest(), size, crop
        with self._lock:
            if key in self._measured:
                self._measured.move_to_end(key)
                return self._measured[key]
        entry = Entry(key[0], "encoded", self._read(upload, size, crop))
        with self._lock:
            if key not in self._measured:
                self._measured[key] = entry
                self._bytes += _count_bytes(entry)
            while self._bytes > _MOST_BYTES:
                dropped_key, dropped = self._measured.popitem(last=False)
                if dropped_key[1:] == _LISTED:
                    self._listed.discard(dropped.id)
                self._bytes -= _count_bytes(dropped)
        return entry

    def _read(self, upload: Upload, size: int, crop: bool) -> StyleSource:
        label = Path(upload.name).stem
        if _is_saved_style(upload.data):
            code = Style.from_bytes(upload.data, upload.name)
            try:
                self._stylizer.check(code)
            except AdainError as error:
                raise AdainError(f"{upload.name}: {error.message}", hint=error.hint) from None
            return StyleSource(label, code=code)
        picture = read_within(upload, self._pixels)
        source = frame_style(picture, upload.name, size, crop)
        assert source.pixels is not None  # noqa: S101 - it is a picture's
        pixels = source.pixels.size // 3
        if pixels > self._pixels:
            most = f"{self._pixels:,} pixels"
            raise Refusal(422, f"style {upload.name}: would have more than {most}", hint="use a smaller `style_size`")
        with self._room.take(pixels):
            return replace(source, code=source.encode(self._stylizer))


def _load_preset(path: Path) -> Entry:
    return Entry(path.stem, "preset", StyleSource(path.stem, code=Style.load(path)))


def _is_saved_style(data: bytes) -> bool:
    """Whether a file is safetensors: eight bytes of a length, and then JSON. No picture begins so."""
    return data[8:9] == b"{"


def _count_bytes(entry: Entry) -> int:
    pixels = entry.source.pixels
    return _CODE_BYTES + (0 if pixels is None else pixels.nbytes)
