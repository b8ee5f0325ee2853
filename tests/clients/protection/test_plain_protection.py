from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from federation import make_experiment
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from clients.protection import PlainProtection, make_protection
from fedgdl.errors import ClientError, ProtocolError
from fedgdl.federated import ClientUpdate, FedAvg
from fedgdl.parameters import Layout
from fedgdl.wire import PlainUpdate, decode_struct
from server.aggregation import read_plain_update

SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
FINITE = {"allow_nan": False, "allow_infinity": False}


class FixedTerms(FedAvg):
    """Declares terms of a test's choice, whatever the update."""

    def __init__(self, terms: dict[str, npt.NDArray[Any]]) -> None:
        super().__init__("equal")
        self._terms = terms

    def terms(self, update: ClientUpdate) -> dict[str, npt.NDArray[Any]]:
        """Returns them."""
        return self._terms


def protect(terms: dict[str, npt.NDArray[Any]], update: ClientUpdate) -> bytes:
    return PlainProtection(FixedTerms(terms)).protect("ann", 1, "0" * 64, b"", b"", update)


@given(
    st.data(),
    st.sampled_from(["float32", "float64"]),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9), SHAPES, max_size=4),
    st.integers(1, 2**53),
    st.floats(allow_nan=False),
    st.floats(0, 1),
)
def test_what_a_client_sends_is_what_the_coordinator_reads(
    data: st.DataObject,
    dtype: str,
    shapes: dict[str, tuple[int, ...]],
    num_examples: int,
    train_loss: float,
    train_accuracy: float,
) -> None:
    terms = {name: data.draw(npst.arrays(dtype, shape, elements=FINITE)) for name, shape in shapes.items()}
    update = ClientUpdate(np.zeros(1, dtype), num_examples, train_loss, train_accuracy)
    payload = protect(terms, update)
    read, arrays = read_plain_update(payload, shapes, np.dtype(dtype))
    assert (read.num_examples, read.train_loss, read.train_accuracy) == (num_examples, train_loss, train_accuracy)
    assert arrays.keys() == terms.keys()
    for name, term in terms.items():
        assert arrays[name].shape == term.shape
        assert arrays[name].tobytes() == term.tobytes()  # -0.0 too, bit for bit


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_terms_are_little_endian_on_the_wire_whatever_they_are_in_memory(dtype: str) -> None:
    term = np.array([[1.0, -2.5], [0.0, 3e5]], dtype)[:, ::-1]  # and not contiguous
    payload = protect({"step": term}, ClientUpdate(term, 1, 0.0, 1.0))
    sent = decode_struct(payload, PlainUpdate).terms["step"]
    assert sent == np.array([-2.5, 1.0, 3e5, 0.0], f"<f{dtype[-1]}").tobytes()


def test_the_terms_are_those_of_the_strategy() -> None:
    update = ClientUpdate(np.array([0.5, -1.0]), 3, 0.25, 1.0)
    payload = PlainProtection(FedAvg("num_examples")).protect("ann", 1, "0" * 64, b"", b"", update)
    sent = decode_struct(payload, PlainUpdate).terms
    assert sent == {"weighted_delta": np.array([1.5, -3.0]).tobytes(), "weight": np.array([3.0]).tobytes()}


def test_a_term_that_overflows_is_refused_before_it_is_sent() -> None:
    """A delta of 1e38 is within float32's 3.4e38; weighted by 1,000 examples it is not."""
    update = ClientUpdate(np.array([1e38], "float32"), 1_000, 0.25, 1.0)
    with pytest.raises(ClientError, match="client 'ann': its update is too large for float32 in weighted_delta; it is"):
        PlainProtection(FedAvg("num_examples")).protect("ann", 1, "0" * 64, b"", b"", update)


def test_a_plain_run_has_nothing_to_hide_no_stages_and_plain_protection() -> None:
    layout = Layout.of({"w": (2,)}, "float64")
    protection = make_protection(make_experiment(), FedAvg("equal"), layout, None)
    assert type(protection) is PlainProtection
    assert not protection.is_private
    protection.check_model("ann", 1, "0" * 64)
    with pytest.raises(ProtocolError, match="asked for a stage 'unmask', and its updates are not protected"):
        protection.answer("unmask", 1, "ann", b"", b"")
