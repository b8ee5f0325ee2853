import multiprocessing
import os
import struct
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.wire import Channel, ChannelClosed, MemoryChannel, PipeChannel

MAX_BYTES = 6_000_000


def pipe_pair(max_bytes: int) -> tuple[PipeChannel, PipeChannel]:
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=True)
    return PipeChannel(here, max_bytes), PipeChannel(there, max_bytes)


@pytest.mark.parametrize("make_pair", [MemoryChannel.pair, pipe_pair])
class TestChannel:
    @pytest.fixture
    def pair(self, make_pair: Any) -> Iterator[tuple[Channel, Channel]]:
        here, there = make_pair(MAX_BYTES)
        yield here, there
        here.close()
        there.close()

    def test_frames_arrive_whole_and_in_order_both_ways(self, pair: tuple[Channel, Channel]) -> None:
        here, there = pair
        frames = [b"one", b"", bytes(range(256)), b"\n", b"one"]
        for frame in frames:
            here.send(frame)
            there.send(frame[::-1])
        assert [there.receive() for _ in frames] == frames
        assert [here.receive() for _ in frames] == [frame[::-1] for frame in frames]

    def test_a_frame_larger_than_any_buffer_arrives(self, pair: tuple[Channel, Channel]) -> None:
        here, there = pair
        frame = np.random.default_rng(1).bytes(5_000_000)
        sender = threading.Thread(target=here.send, args=(frame,))
        sender.start()
        if isinstance(there, MemoryChannel):
            sender.join()  # it does not wait, and neither does its other end
        assert there.receive() == frame
        sender.join()

    def test_the_longest_frame_passes_and_a_longer_one_does_not(self, make_pair: Any) -> None:
        here, there = make_pair(100)
        here.send(bytes(100))
        here.send(bytes(101))
        here.send(b"later")
        assert there.receive() == bytes(100)
        with pytest.raises(ChannelClosed, match="more than 100 bytes"):
            there.receive()
        with pytest.raises(ChannelClosed):  # where the next frame begins is not known any more
            there.receive()
        here.close()
        there.close()

    def test_what_was_sent_before_closing_is_received_then_closed(self, pair: tuple[Channel, Channel]) -> None:
        here, there = pair
        here.send(b"last words")
        here.close()
        assert there.receive() == b"last words"
        for _ in range(2):
            with pytest.raises(ChannelClosed, match="gone"):
                there.receive()

    def test_sending_to_a_closed_end_says_so(self, pair: tuple[Channel, Channel]) -> None:
        here, there = pair
        there.close()
        with pytest.raises(ChannelClosed, match="gone"):
            here.send(b"anybody there?")

    def test_a_closed_end_neither_sends_nor_receives(self, pair: tuple[Channel, Channel]) -> None:
        here, there = pair
        there.send(b"unread")
        here.close()
        here.close()
        with pytest.raises(ChannelClosed):
            here.send(b"")
        with pytest.raises(ChannelClosed):
            here.receive()


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_memory_channel_says_what_waits(frames: list[bytes]) -> None:
    here, there = MemoryChannel.pair()
    for frame in frames:
        here.send(frame)
        assert there.has_frame
    for frame in frames:
        assert there.receive() == frame
    assert not there.has_frame
    with pytest.raises(ChannelClosed, match="no frame is waiting"):
        there.receive()


def raw_pair() -> tuple[PipeChannel, "Connection[bytes, bytes]"]:
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=True)
    return PipeChannel(here, 1_000), there


@pytest.mark.parametrize(
    "written",
    [
        b"\x00",  # a part of the length
        struct.pack("!i", 100),  # the length alone
        struct.pack("!i", 100) + bytes(99),  # all but one byte
        struct.pack("!iQ", -1, 2**60),  # a length of 2**60, as a large frame states it
        struct.pack("!i", 2**31 - 1) + b"x",
    ],
)
def test_half_a_frame_and_then_the_end_is_no_frame(written: bytes) -> None:
    channel, there = raw_pair()
    os.write(there.fileno(), written)
    there.close()
    with pytest.raises(ChannelClosed):
        channel.receive()
    channel.close()


@given(st.binary(min_size=1, max_size=100))
def test_any_bytes_in_the_pipe_are_frames_or_end_it(written: bytes) -> None:
    channel, there = raw_pair()
    os.write(there.fileno(), written)
    there.close()
    received = []
    try:
        while True:
            received.append(channel.receive())
    except ChannelClosed:
        assert sum(map(len, received)) <= len(written)
    finally:
        channel.close()


def test_the_other_end_dies_in_the_middle_of_a_large_frame() -> None:
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=True)
    channel = PipeChannel(here, MAX_BYTES)
    sender = threading.Thread(target=_send_half, args=(there,))
    sender.start()
    with pytest.raises(ChannelClosed, match=r"broke|gone"):
        channel.receive()
    sender.join()
    channel.close()


def _send_half(connection: "Connection[bytes, bytes]") -> None:
    data = struct.pack("!i", MAX_BYTES) + bytes(MAX_BYTES // 2)
    sent = 0
    while sent < len(data):
        sent += os.write(connection.fileno(), data[sent:])
    connection.close()


def test_the_receiver_dies_while_a_large_frame_is_sent() -> None:
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=True)
    channel = PipeChannel(here, MAX_BYTES)
    reader = threading.Thread(target=_read_a_little, args=(there,))
    reader.start()
    with pytest.raises(ChannelClosed, match="gone"):
        channel.send(bytes(MAX_BYTES))
    reader.join()
    channel.close()


def _read_a_little(connection: "Connection[bytes, bytes]") -> None:
    os.read(connection.fileno(), 1_000)
    connection.close()
