"""Layouts, vectors with named views, and model files: whole, cut short, damaged, and of other models."""

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from fedgdl.errors import ParameterError
from fedgdl.parameters import DType, Layout, Parameters, load_parameters, save_parameters

SHAPES = {"hidden.weight": (3, 4), "hidden.bias": (4,), "scale": (1, 1), "nothing": (0, 5)}

names = st.text(min_size=1, max_size=8)
shapes = st.dictionaries(names, st.lists(st.integers(0, 4), max_size=3).map(tuple), max_size=5)
dtypes = st.sampled_from(["float32", "float64"])


def filled(dtype: DType = "float32") -> Parameters:
    """Parameters of SHAPES with the values 0, 1, 2, ..."""
    parameters = Parameters(Layout.of(SHAPES, dtype))
    parameters.vector[:] = np.arange(parameters.layout.size)
    return parameters


def model_file(path: Path, tensors: dict[str, Any], layout: str | None) -> Path:
    """Writes a safetensors file as another program might."""
    path.write_bytes(save(tensors, metadata=None if layout is None else {"fedgdl.layout": layout}))
    return path


# Layouts


@given(shapes, dtypes)
def test_a_layout_lies_end_to_end_and_survives_json(named: dict[str, tuple[int, ...]], dtype: DType) -> None:
    layout = Layout.of(named, dtype)
    assert layout.size == sum(math.prod(shape) for shape in named.values())
    assert layout.nbytes == layout.size * (4 if dtype == "float32" else 8)
    end = 0
    for (name, where, shape), expected in zip(layout.slices(), named.items(), strict=True):
        assert (name, shape) == expected
        assert (where.start, where.stop - where.start) == (end, math.prod(shape))
        end = where.stop
    assert end == layout.size
    again = Layout.from_json(layout.to_json())
    assert again == layout
    assert again.digest == layout.digest
    assert layout.to_json().isascii()


@given(shapes, dtypes, shapes, dtypes)
def test_digests_and_differences_tell_layouts_apart(
    a: dict[str, tuple[int, ...]], a_dtype: DType, b: dict[str, tuple[int, ...]], b_dtype: DType
) -> None:
    one, other = Layout.of(a, a_dtype), Layout.of(b, b_dtype)
    assert (one == other) == (one.digest == other.digest) == (one.difference(other) == "")


def test_order_is_part_of_a_layout() -> None:
    one, other = Layout.of({"a": (2,), "b": (2,)}), Layout.of({"b": (2,), "a": (2,)})
    assert one.digest != other.digest
    assert one.difference(other) == "the order of the parameters differs"


def test_a_difference_is_told_in_words() -> None:
    expected, found = Layout.of({"a": (2,), "b": (3,)}), Layout.of({"b": (4,), "c": (1,)}, "float64")
    assert expected.difference(found) == (
        "a is missing; c is not expected; b has shape (4,) instead of (3,); dtype is float64 instead of float32"
    )


@pytest.mark.parametrize(
    ("named", "dtype"), [({"": (1,)}, "float32"), ({"a": (2, -1)}, "float32"), ({}, "float16"), ({}, "int64")]
)
def test_impossible_layouts_are_refused(named: dict[str, tuple[int, ...]], dtype: DType) -> None:
    with pytest.raises(ParameterError):
        Layout.of(named, dtype)


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps))
def test_any_other_text_is_no_layout(text: str) -> None:
    with pytest.raises(ParameterError):
        Layout.from_json(text)


@pytest.mark.parametrize("shape", ["[-1]", '["x"]', "3", "null", "[[1]]", '"12"'])
def test_impossible_shapes_in_json_are_refused(shape: str) -> None:
    with pytest.raises(ParameterError):
        Layout.from_json(f'{{"dtype":"float32","entries":[["a",{shape}]]}}')


# Vectors and views


@given(shapes, dtypes)
def test_views_and_vector_are_the_same_memory(named: dict[str, tuple[int, ...]], dtype: DType) -> None:
    parameters = Parameters(Layout.of(named, dtype))
    assert not parameters.vector.any()
    assert list(parameters) == list(named)
    assert len(parameters) == len(named)
    for number, (name, where, shape) in enumerate(parameters.layout.slices(), start=1):
        assert parameters[name].shape == shape
        assert parameters[name].dtype == dtype
        parameters[name][...] = number
        assert (parameters.vector[where] == number).all()
    parameters.vector[:] = -1
    assert all((parameters[name] == -1).all() for name in parameters)


def test_a_vector_is_adopted_not_copied() -> None:
    layout = Layout.of(SHAPES)
    vector = np.zeros(layout.size, "float32")
    parameters = Parameters(layout, vector)
    assert parameters.vector is vector
    parameters["hidden.bias"][0] = 1
    assert vector[12] == 1


def test_vectors_that_do_not_fit_are_refused() -> None:
    layout = Layout.of({"a": (4,)})
    for vector in (np.zeros(3, "float32"), np.zeros(4), np.zeros((4, 1), "float32"), np.zeros(4, ">f4")):
        with pytest.raises(ParameterError, match="needs a vector of 4 float32 elements"):
            Parameters(layout, vector)
    with pytest.raises(ParameterError, match="contiguous"):
        Parameters(layout, np.zeros(8, "float32")[::2])


def test_load_copies_once_and_checks_first() -> None:
    parameters, incoming = filled(), np.full(17, 7, "float32")
    view = parameters["hidden.bias"]
    parameters.load(incoming)
    incoming[:] = 0
    assert (view == 7).all()
    for wrong in (np.zeros(16, "float32"), np.zeros(17), np.zeros((17, 1), "float32")):
        with pytest.raises(ParameterError, match="expected 17 float32 elements"):
            parameters.load(wrong)
    assert (parameters.vector == 7).all()


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"no parameter 'bias'; there are hidden.weight, hidden.bias"):
        filled()["bias"]
    with pytest.raises(ParameterError, match="there are none"):
        Parameters(Layout.of({}))["a"]


def test_copy_is_independent() -> None:
    parameters = filled()
    other = parameters.copy()
    other["hidden.bias"][...] = -1
    assert other.vector[12] == -1
    assert parameters.vector[12] == 12
    assert other.layout == parameters.layout


def test_deep_copies_and_pickles_keep_views_and_vector_together() -> None:
    for other in (copy.deepcopy(filled()), pickle.loads(pickle.dumps(filled()))):
        other["hidden.bias"][...] = -1
        assert other.vector[12] == -1


def test_sha256_is_of_layout_and_bits() -> None:
    parameters = filled()
    assert parameters.sha256() == parameters.copy().sha256()
    assert parameters.sha256() != filled("float64").sha256()
    other = parameters.copy()
    other.vector[0] = -0.0  # equal to 0.0, but of other bits
    assert other.sha256() != parameters.sha256()
    renamed = Parameters(Layout.of({"a": (17,)}), parameters.vector)
    assert renamed.sha256() != parameters.sha256()
    assert len(parameters.sha256()) == 64


def test_repr_has_no_values() -> None:
    assert repr(filled()) == "Parameters(hidden.weight, hidden.bias, scale, nothing: 17 x float32)"


# Stacks


def stacked(num_clients: int, dtype: DType = "float32") -> Parameters:
    """Parameters of SHAPES of K clients; those of client k have the values 100 k, 100 k + 1, ..."""
    layout = Layout.of(SHAPES, dtype)
    return Parameters(layout, (100 * np.arange(num_clients)[:, np.newaxis] + np.arange(17)).astype(dtype))


@given(shapes, dtypes, st.integers(1, 5))
def test_views_of_a_stack_are_its_memory(named: dict[str, tuple[int, ...]], dtype: DType, num_clients: int) -> None:
    layout = Layout.of(named, dtype)
    vector = np.zeros((num_clients, layout.size), dtype)
    parameters = Parameters(layout, vector)
    assert parameters.vector is vector
    for number, (name, where, shape) in enumerate(layout.slices(), start=1):
        view = parameters[name]
        assert view.shape == (num_clients, *shape)
        assert view.dtype == dtype
        for client in range(num_clients):
            assert view[client, ...].flags.c_contiguous
            view[client, ...] = 10 * number + client
        np.testing.assert_array_equal(
            vector[:, where],
            np.broadcast_to(10 * number + np.arange(num_clients)[:, np.newaxis], vector[:, where].shape),
        )
    vector[:] = -1
    assert all((parameters[name] == -1).all() for name in parameters)


@pytest.mark.parametrize("num_clients", [1, 2, 5])
def test_each_client_of_a_stack_is_a_vector_of_its_own(num_clients: int) -> None:
    parameters = stacked(num_clients)
    for client in range(num_clients):
        own = Parameters(parameters.layout, parameters.vector[client])
        for name in parameters:
            np.testing.assert_array_equal(parameters[name][client], own[name])
            assert np.shares_memory(parameters[name][client], own[name]) or not own[name].size


def test_one_vector_is_loaded_for_every_client_and_a_stack_for_each() -> None:
    parameters, incoming = stacked(3), np.arange(17, dtype="float32") * -1
    view = parameters["hidden.bias"]
    parameters.load(incoming)
    np.testing.assert_array_equal(parameters.vector, [incoming] * 3)
    np.testing.assert_array_equal(view, [incoming[12:16]] * 3)
    parameters.load(stacked(3).vector)
    np.testing.assert_array_equal(parameters.vector, stacked(3).vector)
    parameters.load(parameters.vector[1])  # of its own memory
    np.testing.assert_array_equal(parameters.vector, [100 + np.arange(17)] * 3)


def test_vectors_that_do_not_fit_a_stack_are_refused() -> None:
    parameters = stacked(3)
    before = parameters.vector.copy()
    for shape in ((2, 17), (1, 17), (16,), (3, 16), (3,), (51,), (1, 3, 17), ()):
        with pytest.raises(ParameterError) as caught:
            parameters.load(np.zeros(shape, "float32"))
        assert str(caught.value) == f"expected 17 float32 elements, got shape {shape} of float32"
    for dtype in ("float64", "int64"):
        with pytest.raises(ParameterError, match=rf"expected 17 float32 elements, got shape \(3, 17\) of {dtype}"):
            parameters.load(np.zeros((3, 17), dtype))
    with pytest.raises(ParameterError, match=r"got shape \(1, 17\)"):
        filled().load(np.zeros((1, 17), "float32"))
    np.testing.assert_array_equal(parameters.vector, before)


def test_stacks_that_do_not_fit_the_layout_are_refused() -> None:
    layout = Layout.of({"a": (4,)})
    for vector in (np.zeros((2, 3), "float32"), np.zeros((2, 4)), np.zeros((1, 2, 4), "float32"), np.float32(1)):
        with pytest.raises(ParameterError, match="needs a vector of 4 float32 elements"):
            Parameters(layout, vector)
    for vector in (
        np.zeros((2, 8), "float32")[:, ::2],
        np.zeros((4, 2), "float32").T,
        np.zeros((2, 8), "float32")[:, :4],
    ):
        with pytest.raises(ParameterError, match="contiguous"):
            Parameters(layout, vector)


def test_leading_clients_are_the_same_memory() -> None:
    parameters = stacked(5)
    for num_clients in (1, 3, 5):
        leading = parameters.leading(num_clients)
        assert leading.layout == parameters.layout
        assert leading.vector.shape == (num_clients, 17)
        np.testing.assert_array_equal(leading.vector, stacked(5).vector[:num_clients])
        leading["hidden.bias"][-1] = -5
        np.testing.assert_array_equal(parameters["hidden.bias"][num_clients - 1], [-5] * 4)
        leading.load(stacked(num_clients).vector)
        np.testing.assert_array_equal(parameters.vector, stacked(5).vector)
    np.testing.assert_array_equal(parameters.leading(4).leading(2).vector, stacked(2).vector)


def test_leading_clients_that_are_not_there_are_refused() -> None:
    for parameters, num_clients in ((stacked(3), 4), (stacked(3), 0), (stacked(3), -1), (filled(), 1)):
        with pytest.raises(ParameterError) as caught:
            parameters.leading(num_clients)
        assert str(caught.value) == (
            f"a vector of shape {parameters.vector.shape} has no {num_clients} leading clients"
        )


def test_copies_of_a_stack_are_stacks() -> None:
    parameters = stacked(2)
    for other in (parameters.copy(), copy.deepcopy(parameters), pickle.loads(pickle.dumps(parameters))):
        assert other.layout == parameters.layout
        np.testing.assert_array_equal(other.vector, parameters.vector)
        other["hidden.bias"][1] = -1
        np.testing.assert_array_equal(other.vector[1, 12:16], [-1] * 4)
        np.testing.assert_array_equal(parameters.vector, stacked(2).vector)
    part = pickle.loads(pickle.dumps(stacked(5).leading(2)))  # of the leading clients alone
    np.testing.assert_array_equal(part.vector, stacked(2).vector)


def test_the_hash_of_a_stack_is_of_all_its_bits() -> None:
    parameters = stacked(2)
    assert parameters.sha256() == parameters.copy().sha256()
    other = parameters.copy()
    other.vector[1, 16] += 1
    assert other.sha256() != parameters.sha256()
    assert parameters.leading(1).sha256() != parameters.sha256()


def test_repr_tells_how_many_clients_there_are() -> None:
    assert repr(stacked(3)) == "Parameters(hidden.weight, hidden.bias, scale, nothing: 3 x 17 x float32)"


@pytest.mark.parametrize("num_clients", [1, 2])
def test_a_stack_is_no_model_to_save(tmp_path: Path, num_clients: int) -> None:
    # A file has the shapes of its layout: one written for a stack could not be read again.
    with pytest.raises(ParameterError):
        save_parameters(stacked(num_clients), tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


# Files


@given(dtypes, st.integers(0, 2**32))
def test_a_file_brings_back_the_bits(tmp_path_factory: pytest.TempPathFactory, dtype: DType, seed: int) -> None:
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    parameters = filled(dtype)
    parameters.vector[:] = np.random.default_rng(seed).normal(size=17)
    parameters.vector[:3] = [np.nan, -np.inf, -0.0]
    save_parameters(parameters, path)
    found = load_parameters(path, parameters.layout)
    assert found.layout == parameters.layout
    assert found.vector.tobytes() == parameters.vector.tobytes()
    assert load_parameters(path).sha256() == parameters.sha256()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_saving_again_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_parameters(filled(), path)
    other = filled("float64")
    save_parameters(other, path)
    assert load_parameters(path).sha256() == other.sha256()


def test_a_failed_save_leaves_the_former_file_and_no_scratch(tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / "inside").touch()
    with pytest.raises(OSError):  # noqa: PT011 (a file cannot replace a folder; the message is the system's)
        save_parameters(filled(), folder)
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_a_parameter_without_axes_survives_a_file(tmp_path: Path) -> None:
    parameters = Parameters(Layout.of({"temperature": ()}))
    save_parameters(parameters, tmp_path / "model.safetensors")
    assert load_parameters(tmp_path / "model.safetensors").layout == parameters.layout


def test_no_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.safetensors", tmp_path):
        with pytest.raises(ParameterError, match="cannot be read as a model file"):
            load_parameters(path)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    save_parameters(filled(), whole)
    content = whole.read_bytes()
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        with pytest.raises(ParameterError):
            load_parameters(cut)
    cut.write_bytes(content + b"\0")
    with pytest.raises(ParameterError):
        load_parameters(cut)


def test_a_damaged_header_is_refused_or_read_as_a_model(tmp_path: Path) -> None:
    """One flipped bit of the header ends in ParameterError, or leaves the model whole (in the padding, say)."""
    path = tmp_path / "model.safetensors"
    parameters = filled()
    save_parameters(parameters, path)
    content = path.read_bytes()
    header_end = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for position in range(header_end):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x01]) + content[position + 1 :])
        try:
            found = load_parameters(path, parameters.layout)
        except ParameterError:
            refused += 1
        else:
            assert found.layout == parameters.layout
    assert refused > header_end / 2


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ParameterError):
        load_parameters(path)


def test_a_file_of_another_model_is_told_by_its_difference(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_parameters(filled(), path)
    expected = Layout.of({**SHAPES, "hidden.bias": (5,)}, "float64")
    with pytest.raises(ParameterError, match=r"hidden.bias has shape \(4,\) instead of \(5,\); dtype is float32"):
        load_parameters(path, expected)


def test_a_file_of_another_program_is_told(tmp_path: Path) -> None:
    path = model_file(tmp_path / "model.safetensors", {"a": np.zeros(2, "float32")}, layout=None)
    with pytest.raises(ParameterError, match="written by another program"):
        load_parameters(path)


def test_a_file_that_contradicts_its_layout_is_refused(tmp_path: Path) -> None:
    layout = Layout.of({"a": (2,), "b": (1,)}).to_json()
    a, b = np.zeros(2, "float32"), np.zeros(1, "float32")
    for number, tensors in enumerate(({"a": a}, {"a": a, "b": b, "c": b}, {"a": b, "b": a}, {"a": a, "b": a[:0]})):
        path = model_file(tmp_path / f"{number}.safetensors", tensors, layout)
        with pytest.raises(ParameterError, match="contradicts its own layout"):
            load_parameters(path)
    path = model_file(tmp_path / "text.safetensors", {"a": a}, "no layout")
    with pytest.raises(ParameterError, match="not a parameter layout"):
        load_parameters(path)


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_a_file_whose_tensors_have_another_dtype_is_refused(tmp_path: Path, dtype: str) -> None:
    path = model_file(tmp_path / "m.safetensors", {"a": np.ones(2, dtype)}, Layout.of({"a": (2,)}).to_json())
    with pytest.raises(ParameterError):
        load_parameters(path)


def test_a_file_of_a_dtype_that_numpy_lacks_is_refused(tmp_path: Path) -> None:
    metadata = {"fedgdl.layout": Layout.of({"a": (2,)}).to_json()}
    header = {"__metadata__": metadata, "a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    with pytest.raises(ParameterError):
        load_parameters(path)


HOSTILE = {
    "an endless list": "[" * 100_000,
    "an infinite side": '{"dtype":"float32","entries":[["a",[1e400]]]}',
    "half an element": '{"dtype":"float32","entries":[["a",[1.5]]]}',
    "a name twice": '{"dtype":"float32","entries":[["a",[2]],["a",[3]]]}',
    "a number for a name": '{"dtype":"float32","entries":[[3,[1]]]}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_layouts_are_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        Layout.from_json(text)
