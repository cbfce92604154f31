"""Copying what a clip has beside its frames: sound, subtitles, other streams, chapters and metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adain_models.errors import AdainError
from adain_rt.media.clips.decoding import OpenClip
from adain_rt.media.clips.formats import Container

__all__ = ["Copier"]

_OF_THE_FILE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration", "creation_time"}
"""Metadata that describes the file that was read, and not what is in it."""

_SILENT_TITLE = b"\0\0"
"""What MP4 has between subtitles. It is made again where it is needed."""


class Copier:
    """Copies the streams of a reader's clip, packet by packet, into a container that is being written.

    Args:
        out: PyAV's container.
        reader: the clip.
        container: what is written.
        name: of the file that is written, in errors.

    Attributes:
        remarks: what is lost, each as the end of a sentence that begins with the file's name.

    """

    def __init__(self, out: Any, reader: OpenClip, container: Container, name: str) -> None:
        self._out, self._reader, self._container, self._name = out, reader, container, name
        self._streams: dict[int, Any] = {}
        self.remarks: list[str] = []

    def add_streams(self) -> None:
        """Add a stream for each that can be copied.

        Raises:
            AdainError: the container does not hold the clip's sound.

        """
        lost, chapters = [], self._reader.chapters()
        for stream in self._reader.others:
            codec = _name_codec(stream)
            if self._holds(stream, codec):
                copy = self._out.add_stream_from_template(stream)
                copy.metadata.update(_leave_out(stream.metadata))
                copy.disposition = stream.disposition
                copy.time_base = stream.time_base
                self._streams[stream.index] = copy
            elif stream.type == "audio" and not self._container.animation:
                raise AdainError(
                    f"{self._name}: {self._container.muxer} does not hold sound in {codec}",
                    hint="use another `output`, such as one that ends with .mkv",
                )
            elif stream.type != "data" or not chapters:  # MP4 has the titles of chapters as such a stream
                lost.append(f"{stream.type} ({codec})")
        if lost:
            self.remarks.append(f"does not hold {', '.join(lost)}, which the clip has")
        if not self._container.animation:
            self._out.metadata.update(_leave_out(self._reader.metadata))
            self._out.set_chapters(chapters)

    def copy(self, packets: Iterable[Any]) -> None:
        """Write packets of the clip's other streams."""
        for packet in packets:
            stream = self._streams.get(packet.stream.index)
            if stream is not None and bytes(packet) != _SILENT_TITLE:
                packet.stream = stream
                self._out.mux(packet)

    def _holds(self, stream: Any, codec: str) -> bool:
        if self._container.animation:
            return False
        if stream.type == "attachment":
            return self._container.muxer == "matroska"
        return codec in self._out.supported_codecs


def _name_codec(stream: Any) -> str:
    """Return the name of a stream's codec, whatever the name of its decoder."""
    context = stream.codec_context
    return "unknown" if context is None else str(context.codec.canonical_name)


def _leave_out(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() not in _OF_THE_FILE}
