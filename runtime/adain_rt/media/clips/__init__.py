"""Clips in and out: what FFmpeg reads, as upright frames, and back with the clip's sound. Needs the extra ``video``."""

from adain_rt.media.clips.animations import AnimationReader
from adain_rt.media.clips.decoding import ClipReader, OpenClip, open_clip
from adain_rt.media.clips.encoding import ClipWriter
from adain_rt.media.clips.formats import (
    CODECS,
    CONTAINERS,
    PIPED,
    Codec,
    Container,
    choose_codec,
    find_container,
    is_sequence,
    list_numbered,
)
from adain_rt.media.clips.frame import ClipFacts, Color, Frame, Reading
from adain_rt.media.clips.packets import PacketFile
from adain_rt.media.clips.sequences import SequenceWriter, find_numbered

__all__ = [
    "CODECS",
    "CONTAINERS",
    "PIPED",
    "AnimationReader",
    "ClipFacts",
    "ClipReader",
    "ClipWriter",
    "Codec",
    "Color",
    "Container",
    "Frame",
    "OpenClip",
    "PacketFile",
    "Reading",
    "SequenceWriter",
    "choose_codec",
    "find_container",
    "find_numbered",
    "is_sequence",
    "list_numbered",
    "open_clip",
]
