import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from clients.protection import PlainProtection
from clients.protection.protection import make_protection
from fedgdl.config import AggregationConfig
from fedgdl.federated import ClientUpdate
from fedgdl.wire import PlainUpdate, decode_struct
from server.aggregation import read_plain_update

SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


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
    terms = {name: data.draw(npst.arrays(dtype, shape)) for name, shape in shapes.items()}
    update = ClientUpdate(np.zeros(1, dtype), num_examples, train_loss, train_accuracy)
    payload = PlainProtection().protect(update, terms)
    read, arrays = read_plain_update(payload, shapes, np.dtype(dtype))
    assert (read.num_examples, read.train_loss, read.train_accuracy) == (num_examples, train_loss, train_accuracy)
    assert arrays.keys() == terms.keys()
    for name, term in terms.items():
        assert arrays[name].shape == term.shape
        assert arrays[name].tobytes() == term.tobytes()  # NaN and -0.0 too, bit for bit


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_terms_are_little_endian_on_the_wire_whatever_they_are_in_memory(dtype: str) -> None:
    term = np.array([[1.0, -2.5], [0.0, 3e5]], dtype)[:, ::-1]  # and not contiguous
    payload = PlainProtection().protect(ClientUpdate(term, 1, 0.0, 1.0), {"step": term})
    sent = decode_struct(payload, PlainUpdate).terms["step"]
    assert sent == np.array([-2.5, 1.0, 3e5, 0.0], f"<f{dtype[-1]}").tobytes()


def test_plain_aggregation_goes_with_plain_protection() -> None:
    assert type(make_protection(AggregationConfig(kind="plain"))) is PlainProtection
