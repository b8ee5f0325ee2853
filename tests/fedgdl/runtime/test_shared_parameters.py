import hashlib
import multiprocessing
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attached_reader import answer_requests
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fedgdl.errors import EngineError, ParameterError
from fedgdl.parameters import DType, Layout
from fedgdl.runtime import ParameterSlots, Publication, SharedParameters

LAYOUTS = st.builds(
    lambda size, dtype: Layout.of({"w": (size,)}, dtype),
    st.sampled_from([0, 1, 2, 15, 16, 17, 300]),
    st.sampled_from(["float32", "float64"]),
)


def layout_of(size: int, dtype: DType = "float32") -> Layout:
    return Layout.of({"w": (size,)}, dtype)


def new_slots(layout: Layout) -> tuple[ParameterSlots, bytearray]:
    block = bytearray(ParameterSlots.nbytes(layout))
    return ParameterSlots(block, layout), block


def read(slots: ParameterSlots, where: Publication) -> Any:  # a vector
    return slots.read(where.slot, where.version, where.sha256)


# Slots


@given(LAYOUTS, st.data())
def test_the_last_two_published_vectors_are_read_bit_for_bit(layout: Layout, data: st.DataObject) -> None:
    slots, _ = new_slots(layout)
    published: list[tuple[Publication, bytes]] = []
    elements = npst.from_dtype(np.dtype(layout.dtype))  # NaN and infinity too: bits are bits
    for _ in range(data.draw(st.integers(1, 5))):
        vector = data.draw(npst.arrays(layout.dtype, layout.size, elements=elements))
        published.append((slots.publish(vector), vector.tobytes()))
        vector[...] = 1  # what was published is a copy
    assert [where.version for where, _ in published] == list(range(1, len(published) + 1))
    for where, raw in published[-2:]:
        assert where.sha256 == hashlib.sha256(raw).hexdigest()
        vector = read(slots, where)
        assert vector.tobytes() == raw
        assert vector.dtype == layout.dtype
        assert vector.shape == (layout.size,)
        vector[...] = 0  # what is read is a copy, too
        assert read(slots, where).tobytes() == raw
    for where, _ in published[:-2]:
        with pytest.raises(EngineError, match=rf"version {where.version} was announced"):
            read(slots, where)


def test_a_version_not_yet_published_is_refused() -> None:
    slots, _ = new_slots(layout_of(3))
    with pytest.raises(EngineError, match="nothing was published yet"):
        slots.read(1, 1, "0" * 64)
    where = slots.publish(np.ones(3, np.float32))
    with pytest.raises(EngineError, match="version 3 was announced"):
        slots.read(where.slot, where.version + 2, where.sha256)
    with pytest.raises(EngineError, match="version 1 was announced"):
        slots.read(1 - where.slot, where.version, where.sha256)


@given(st.integers(0, 8 * (64 + 2 * 64) - 1))
def test_no_flipped_bit_changes_what_is_read(bit: int) -> None:
    layout = layout_of(5)
    slots, block = new_slots(layout)
    vector = np.arange(5, dtype=np.float32)
    where = slots.publish(vector)
    block[bit // 8] ^= 1 << bit % 8
    try:
        assert read(slots, where).tobytes() == vector.tobytes()
    except EngineError:
        start = 64 + 64 * where.slot
        in_vector = start <= bit // 8 < start + layout.nbytes
        assert in_vector or bit // 8 < 8 + 2 * 8  # the mark and the two versions


def test_a_damaged_slot_is_told_from_an_old_one() -> None:
    slots, block = new_slots(layout_of(3))
    where = slots.publish(np.ones(3, np.float32))
    block[64 + 64 * where.slot] ^= 1
    with pytest.raises(EngineError, match="SHA-256 differs"):
        read(slots, where)


@pytest.mark.parametrize(
    "vector",
    [
        np.ones(3, np.float64),
        np.ones(2, np.float32),
        np.ones(4, np.float32),
        np.ones((3, 1), np.float32),
        np.ones(1, np.float32),
        np.float32(1),
        np.ones(3, ">f4"),
        np.ones(3, np.int32),
    ],
)
def test_a_vector_that_does_not_fit_is_refused_and_changes_nothing(vector: Any) -> None:
    slots, block = new_slots(layout_of(3))
    where = slots.publish(np.full(3, 7, np.float32))
    before = bytes(block)
    with pytest.raises(ParameterError, match="the slots hold 3 float32 elements, got shape"):
        slots.publish(vector)
    assert bytes(block) == before
    assert read(slots, where).tolist() == [7, 7, 7]


def test_a_vector_with_gaps_in_memory_is_published_whole() -> None:
    slots, _ = new_slots(layout_of(3))
    assert read(slots, slots.publish(np.arange(6, dtype=np.float32)[::2])).tolist() == [0, 2, 4]


@given(LAYOUTS, st.integers(1, 64))
def test_a_block_that_is_too_small_is_refused(layout: Layout, missing: int) -> None:
    with pytest.raises(ParameterError, match="cannot hold two vectors"):
        ParameterSlots(bytearray(ParameterSlots.nbytes(layout) - missing), layout)


@given(LAYOUTS)
def test_slots_lie_apart_and_within_the_block(layout: Layout) -> None:
    slots, block = new_slots(layout)
    views = slots._slots
    assert not np.shares_memory(views[0], views[1])
    for view in views:
        address = view.__array_interface__["data"][0] - np.frombuffer(block, np.uint8).__array_interface__["data"][0]
        assert layout.size == 0 or address % 64 == 0
        assert address + view.nbytes <= len(block)
    del view, views
    slots.release()
    block.clear()  # raises if anything still looked at the block


def test_read_only_memory_can_be_read_and_not_published_to() -> None:
    layout = layout_of(3)
    slots, block = new_slots(layout)
    where = slots.publish(np.ones(3, np.float32))
    reader = ParameterSlots(memoryview(block).toreadonly(), layout)
    assert read(reader, where).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        reader.publish(np.zeros(3, np.float32))
    assert read(slots, where).tolist() == [1, 1, 1]


# Shared memory


def is_there(name: str) -> bool:
    """Tells whether a block of that name can still be opened."""
    try:
        SharedParameters(layout_of(0), name).close()
    except EngineError:
        return False
    return True


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_process_of_its_own_reads_what_was_published(
    size: int, dtype: DType, capfd: pytest.CaptureFixture[str]
) -> None:
    layout = layout_of(size, dtype)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=True)
    with SharedParameters(layout) as memory:
        reader = context.Process(target=answer_requests, args=(there, layout, memory.name))
        reader.start()
        there.close()
        vectors = np.random.default_rng(size).normal(size=(3, size)).astype(dtype)
        published = []
        for vector in vectors:
            published.append(memory.slots.publish(vector))
            where = published[-1]
            here.send((where.slot, where.version, where.sha256))
            assert here.recv().tobytes() == vector.tobytes()
        where = published[-1]
        here.send((where.slot, 1, where.sha256))
        assert "EngineError" in here.recv()
        here.send(None)
        assert "read-only" in here.recv()
        reader.join(10)
        assert reader.exitcode == 0
        assert is_there(memory.name)  # the reader's end has not removed it
        assert read(memory.slots, where).tobytes() == vectors[-1].tobytes()
    here.close()
    assert not is_there(memory.name)
    assert capfd.readouterr().err == ""


def test_closing_removes_the_block_and_may_be_repeated() -> None:
    memory = SharedParameters(layout_of(10))
    name = memory.name
    assert is_there(name)
    memory.close()
    memory.close()
    assert not is_there(name)
    assert not Path("/dev/shm", name).exists()  # noqa: S108 (where Linux keeps them; nothing is made there)


def test_an_error_in_the_block_removes_it_too() -> None:
    with pytest.raises(ValueError, match="x"), SharedParameters(layout_of(10)) as memory:
        raise ValueError("x")  # noqa: EM101
    assert not is_there(memory.name)


def test_a_reader_that_closes_leaves_the_block() -> None:
    layout = layout_of(3)
    with SharedParameters(layout) as memory:
        where = memory.slots.publish(np.ones(3, np.float32))
        with SharedParameters(layout, memory.name) as reader:
            assert reader.name == memory.name
            assert read(reader.slots, where).tolist() == [1, 1, 1]
        reader.close()
        assert is_there(memory.name)
        assert read(memory.slots, where).tolist() == [1, 1, 1]


def test_a_block_that_somebody_else_removed_can_be_closed() -> None:
    memory = SharedParameters(layout_of(3))
    memory._memory.unlink()
    memory.close()
    memory.close()


def test_a_missing_block_is_named() -> None:
    with pytest.raises(EngineError, match="opened under the name psm_missing"):
        SharedParameters(layout_of(3), "psm_missing")


def test_a_block_of_another_model_is_refused_and_stays() -> None:
    small, large = layout_of(1), layout_of(100_000)
    with SharedParameters(small) as memory:
        with pytest.raises(EngineError, match="it was made for another model"):
            SharedParameters(large, memory.name)
        where = memory.slots.publish(np.ones(1, np.float32))
        assert read(memory.slots, where).tolist() == [1]


def test_more_memory_than_there_is_is_refused() -> None:
    with pytest.raises(EngineError, match="could be created"):
        SharedParameters(layout_of(2**50))


def test_the_header_is_as_a_reader_of_another_program_expects_it() -> None:
    slots, block = new_slots(layout_of(1))
    for _ in range(2):
        slots.publish(np.ones(1, np.float32))
    assert struct.unpack_from("<8sQQ", block) == (b"fedgdl\x00\x01", 2, 1)
