from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from fedgdl.data.dataset import ArrayExamples, BagExamples
from fedgdl.errors import DataError

BAGS = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=8)


def as_lists(examples: BagExamples) -> list[list[int]]:
    words = examples.token_ids.tolist()
    return [words[start:stop] for start, stop in pairwise(examples.offsets.tolist())]


@given(BAGS, st.data())
def test_slices_and_chosen_rows_hold_the_right_examples(bags: list[list[int]], data: st.DataObject) -> None:
    labels = list(range(len(bags)))
    examples = BagExamples.of(bags, labels)
    start = data.draw(st.integers(0, len(bags)))
    stop = data.draw(st.integers(start, len(bags) + 3))
    part = examples.slice(start, stop)
    assert (as_lists(part), part.labels.tolist()) == (bags[start:stop], labels[start:stop])
    assert part.offsets[0] == 0
    assert np.shares_memory(part.token_ids, examples.token_ids) or not part.token_ids.size
    rows = data.draw(st.lists(st.sampled_from(labels), max_size=10)) if labels else []
    taken = examples.take(np.array(rows, dtype=np.int64))
    assert (as_lists(taken), taken.labels.tolist()) == ([bags[row] for row in rows], rows)
    assert taken.token_ids.dtype == taken.offsets.dtype == np.int64


def test_a_part_of_a_larger_array_behaves_like_a_whole() -> None:
    whole = BagExamples.of([[1], [2, 3], [], [4]], [0, 1, 0, 1])
    part = BagExamples(whole.token_ids, whole.offsets[1:], whole.labels[1:])
    assert as_lists(part.slice(0, 2)) == [[2, 3], []]
    assert as_lists(part.take(np.array([2, 0]))) == [[4], [2, 3]]


def test_bags_and_labels_must_be_as_many() -> None:
    with pytest.raises(DataError, match="2 bags of words but 1 labels"):
        BagExamples.of([[1], [2]], [1])


ROWS = arrays_of.arrays(np.uint8, st.tuples(st.integers(1, 8), st.just(2), st.just(3)))


@given(ROWS, st.data())
def test_rows_of_arrays_are_sliced_and_taken_together(inputs: npt.NDArray[np.uint8], data: st.DataObject) -> None:
    labels = np.arange(len(inputs), dtype=np.int64)
    examples = ArrayExamples(inputs, labels)
    start = data.draw(st.integers(0, len(inputs)))
    stop = data.draw(st.integers(start, len(inputs) + 2))
    part = examples.slice(start, stop)
    assert part.labels.tolist() == list(range(len(inputs)))[start:stop]
    np.testing.assert_array_equal(part.inputs, inputs[start:stop])
    rows = np.array(data.draw(st.lists(st.integers(0, len(inputs) - 1))), dtype=np.int64)
    taken = examples.take(rows)
    assert taken.labels.tolist() == rows.tolist()
    np.testing.assert_array_equal(taken.inputs, inputs[rows])


def test_a_slice_of_arrays_is_a_view_and_taken_rows_are_a_copy() -> None:
    examples = ArrayExamples(np.zeros((4, 2), np.int32), np.zeros((4, 2), np.int32))
    assert np.shares_memory(examples.slice(1, 3).inputs, examples.inputs)
    assert np.shares_memory(examples.slice(1, 3).labels, examples.labels)
    assert not np.shares_memory(examples.take(np.array([1, 2])).inputs, examples.inputs)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(DataError, match=r"inputs of shape \(3, 28, 28\) do not go with labels of shape \(2,\)"):
        ArrayExamples(np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.int64))
    with pytest.raises(DataError, match=r"labels of shape \(\)"):
        ArrayExamples(np.zeros(3), np.array(1))
