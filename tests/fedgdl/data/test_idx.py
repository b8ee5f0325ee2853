"""The IDX format: every array comes back, and everything that is not exactly one is refused."""

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from digit_files import idx_bytes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from fedgdl.data.idx import parse_idx, read_idx
from fedgdl.errors import DataCorrupt

SHAPES = arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
ARRAY = np.arange(6, dtype=np.uint8).reshape(2, 3)


@given(st.sampled_from([np.uint8, np.int32]).flatmap(lambda dtype: arrays_of.arrays(dtype, SHAPES)))
def test_an_array_comes_back(array: npt.NDArray[np.generic]) -> None:
    found = parse_idx(idx_bytes(array), array.dtype, (None,) * array.ndim)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.dtype.isnative


@given(st.binary(max_size=40))
def test_any_bytes_are_an_array_or_are_refused(data: bytes) -> None:
    try:
        found = parse_idx(data, np.uint8, (None, 3))
    except DataCorrupt:
        return
    assert found.shape[1:] == (3,)
    assert len(data) == 12 + found.size


@pytest.mark.parametrize("pack", [bytes, lambda data: gzip.compress(data, mtime=0)])
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, pack: type[bytes]) -> None:
    whole, path = pack(idx_bytes(ARRAY)), tmp_path / "array"
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_idx(path, np.uint8, (None, 3)), ARRAY)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataCorrupt, match=r"cut short|it begins with|damaged"):
            read_idx(path, np.uint8, (None, 3))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (idx_bytes(ARRAY)[:-1], r"cut short: its header promises 2 x 3 elements, 18 bytes in all, but it has 17"),
        (idx_bytes(ARRAY) + b"\0", r"goes on after its end: its header promises 2 x 3 elements.*but it has 19"),
        (idx_bytes(ARRAY)[:6], "cut short inside its header: it has 6 of 12 bytes"),
        (b"", "no IDX file: it begins with nothing"),
        (b"<html>", "no IDX file: it begins with 3c 68 74 6d"),
        (b"\0\0\x07\x02" + idx_bytes(ARRAY)[4:], "no IDX file: it begins with 00 00 07 02"),
        (b"\x08\0" + idx_bytes(ARRAY)[2:], "no IDX file"),
        (idx_bytes(ARRAY.astype(np.int32)), "of int32 in 2 dimensions, not of uint8 in 2"),
        (idx_bytes(ARRAY[None]), "of uint8 in 3 dimensions, not of uint8 in 2"),
        (idx_bytes(ARRAY[:, :2]), "holds an array of 2 x 2, not of any x 3"),
        (b"\0\0\x08\x02" + b"\xff\xff\xff\xff\0\0\0\x03", "promises 4294967295 x 3 elements, 12,884,901,897 bytes"),
    ],
)
def test_what_is_no_such_array_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(DataCorrupt, match=what):
        parse_idx(data, np.uint8, (None, 3))


def test_nothing_times_more_than_any_memory_has_is_refused() -> None:
    data = b"\0\0\x08\x03" + bytes(4) + b"\xff" * 8
    with pytest.raises(DataCorrupt, match="promises 0 x 4294967295 x 4294967295 elements, which no array can have"):
        parse_idx(data, np.uint8, (None, None, None))


def test_a_damaged_compressed_file_is_refused(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8).reshape(-1, 4)), mtime=0))
    whole[len(whole) // 2] ^= 0x10
    path = tmp_path / "array.gz"
    path.write_bytes(whole)
    with pytest.raises(DataCorrupt, match="damaged"):
        read_idx(path, np.uint8, (None, 4))
