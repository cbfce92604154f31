"""Encoded packets in a file of their own."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from adain_rt.media.clips import PacketFile


def make_packet(data: bytes, time: int) -> av.Packet:
    packet = av.Packet(data)
    packet.pts, packet.dts, packet.duration = time, time - 2, 1
    return packet


def test_packets_come_back_and_others_follow(tmp_path):
    packets = PacketFile(tmp_path / "frames")
    packets.append(make_packet(b"one", 0))
    size, checksum = packets.save(), packets.checksum
    packets.append(make_packet(b"lost", 1))
    packets.close()
    packets = PacketFile(tmp_path / "frames", size)
    assert packets.checksum == checksum
    packets.append(make_packet(b"two", 1))
    found = [(bytes(each), each.pts, each.dts, each.duration) for each in packets.read(Fraction(1, 25))]
    assert found == [(b"one", 0, -2, 1), (b"two", 1, -1, 1)]
    packets.close()


def test_a_changed_byte_changes_the_checksum(tmp_path):
    packets = PacketFile(tmp_path / "frames")
    packets.append(make_packet(b"one", 0))
    size, checksum = packets.save(), packets.checksum
    packets.close()
    (tmp_path / "frames").write_bytes((tmp_path / "frames").read_bytes().replace(b"one", b"uno"))
    packets = PacketFile(tmp_path / "frames", size)
    assert packets.checksum != checksum
    packets.close()


def test_a_full_disk_is_an_error_where_it_is_saved_and_not_where_it_is_closed(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    packets = PacketFile(tmp_path / "frames")
    packets.append(make_packet(bytes(200), 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            packets.save()
        packets.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
