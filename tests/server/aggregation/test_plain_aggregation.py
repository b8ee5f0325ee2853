import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from federation import make_experiment
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import StrategyConfig
from fedgdl.errors import ClientError, WireError
from fedgdl.federated import ClientRecord, CohortSums, FedAvg
from fedgdl.parameters import DType, Layout
from fedgdl.wire import PlainUpdate, encode_struct
from server.aggregation import PlainAggregation, PlainCohort, make_aggregation, read_plain_update
from server.round_state import Stage

DTYPES: tuple[DType, ...] = ("float32", "float64")
SHAPES = {"steps": (2, 3), "weight": (1,)}


def aggregation(dtype: DType = "float64", shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> PlainAggregation:
    return PlainAggregation(Layout.of({"w": (6,)}, dtype), shapes, min_updates=1)


def cohort(
    client_ids: Sequence[str] = ("ann",), dtype: DType = "float64", shapes: Mapping[str, tuple[int, ...]] = SHAPES
) -> PlainCohort:
    return aggregation(dtype, shapes).open_round(1, 1, tuple(client_ids), "0" * 64)


def payload(
    steps: Sequence[float] | npt.NDArray[np.float64], weight: float = 1.0, dtype: DType = "float64", **changes: Any
) -> bytes:
    terms = {"steps": np.array(steps, dtype).tobytes(), "weight": np.array([weight], dtype).tobytes()}
    return encode_struct(
        PlainUpdate(**{"terms": terms, "num_examples": 4, "train_loss": 0.5, "train_accuracy": 0.75, **changes})
    )


def opened(payloads: Mapping[str, bytes], dtype: DType = "float64") -> CohortSums:
    one = cohort(sorted(payloads), dtype)
    for client_id, data in payloads.items():
        one.take("train", client_id, data)
    return one.finish()


def test_a_round_has_one_stage_which_trains_and_tells_clients_nothing() -> None:
    strategy = FedAvg("equal")
    experiment = make_experiment(strategy=StrategyConfig(min_updates=3))
    made = make_aggregation(experiment, strategy, Layout.of({"w": (6,)}, "float64"))
    assert type(made) is PlainAggregation
    one = made.open_round(1, 1, ("ann", "ben"), "0" * 64)
    assert one.stages == (Stage("train", 3, trains=True),)
    one.begin("train", ("ann", "ben"))
    assert (one.common("train"), one.message("train", "ann")) == (b"", b"")


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_are_those_of_a_slow_loop_in_float64(dtype: DType) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(scale=1e6, size=(5, 6)).astype(dtype)
    sums = opened({f"client-{row}": payload(values[row].tolist(), row + 1, dtype) for row in range(5)}, dtype).sums
    expected = [0.0] * 6
    for row in range(5):
        for column in range(6):
            expected[column] += float(values[row, column])
    assert sums["steps"].tobytes() == np.array(expected).reshape(2, 3).tobytes()
    assert sums["weight"].tolist() == [15.0]
    assert {array.dtype.name for array in sums.values()} == {"float64"}


def test_terms_are_added_in_the_order_of_ids_not_of_arrival() -> None:
    """1e16 + 1 - 1e16 is 0 or 1 in float64, depending on the order of the two additions."""
    values = {"ann": 1e16, "ben": 1.0, "cat": -1e16}
    payloads = {name: payload([value, 0, 0, 0, 0, 0]) for name, value in values.items()}
    found = {
        opened({name: payloads[name] for name in order}).sums["steps"].tobytes()
        for order in itertools.permutations(payloads)
    }
    assert len(found) == 1


def test_means_are_over_those_whose_update_is_in_the_sum() -> None:
    one = cohort(("ann", "ben", "cat"))
    one.take("train", "ann", payload(np.ones(6), train_loss=0.5, train_accuracy=1.0))
    one.take("train", "cat", payload(np.ones(6), train_loss=1.5, train_accuracy=0.5))
    with pytest.raises(ClientError):
        one.take("train", "ben", payload(np.full(6, np.nan), train_loss=100.0))
    found = one.finish()
    assert (found.num_clients, found.means) == (2, {"train_loss": 1.0, "train_accuracy": 0.75})


def test_sums_over_nobody_are_zero() -> None:
    found = cohort().finish()
    assert {name: array.tolist() for name, array in found.sums.items()} == {"steps": [[0] * 3] * 2, "weight": [0]}
    assert (found.num_clients, found.means) == (0, {})


def test_a_good_payload_tells_of_its_client() -> None:
    record = cohort().take("train", "ann", payload(np.ones(6)))
    assert record == ClientRecord("ann", "done", num_examples=4, train_loss=0.5, train_accuracy=0.75)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_valid_payload_is_larger_than_promised(dtype: DType) -> None:
    assert len(payload(np.full(6, 1 / 3), 1 / 3, dtype)) <= aggregation(dtype).max_payload_bytes


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_bad_element_gets_through(position: int, value: float) -> None:
    steps = np.ones(6)
    steps[position] = value
    with pytest.raises(ClientError, match="client 'ann': its update holds NaN or infinity in steps"):
        cohort().take("train", "ann", payload(steps))


@pytest.mark.parametrize(
    "dtypes", [("float32", "float64"), ("float64", "float32")], ids=lambda dtypes: f"{dtypes[0]} for {dtypes[1]}"
)
def test_terms_of_another_dtype_are_refused(dtypes: tuple[DType, DType]) -> None:
    sent, expected = dtypes
    with pytest.raises(ClientError, match="bytes, expected"):
        cohort(dtype=expected).take("train", "ann", payload(np.ones(6), dtype=sent))


@given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda tail: payload(np.ones(6))[:-20] + tail))
def test_any_bytes_are_a_valid_payload_or_a_client_error(data: bytes) -> None:
    one = cohort()
    try:
        record = one.take("train", "ann", data)
    except ClientError:
        assert one.finish().num_clients == 0
        return
    assert record.client_id == "ann"
    assert all(np.isfinite(array).all() for array in one.finish().sums.values())


def test_reading_gives_named_arrays_that_cannot_be_written_to() -> None:
    update, terms = read_plain_update(payload(np.arange(6.0), 3.0), SHAPES, np.dtype("float64"))
    assert (update.num_examples, update.train_loss, update.train_accuracy) == (4, 0.5, 0.75)
    assert terms["steps"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert terms["weight"].tolist() == [3]
    assert not any(term.flags.writeable for term in terms.values())


def test_a_scalar_term_and_an_empty_one_are_terms_too() -> None:
    shapes: dict[str, tuple[int, ...]] = {"scalar": (), "empty": (0, 3)}
    data = encode_struct(PlainUpdate({"scalar": np.float64(2.5).tobytes(), "empty": b""}, 1, 0.0, 0.0))
    _, terms = read_plain_update(data, shapes, np.dtype("float64"))
    assert (terms["scalar"].shape, float(terms["scalar"]), terms["empty"].shape) == ((), 2.5, (0, 3))
    assert cohort(shapes=shapes).finish().sums["scalar"].shape == ()


def test_terms_of_other_names_are_refused_with_both_lists() -> None:
    data = encode_struct(PlainUpdate({"weight": bytes(8)}, 1, 0.0, 0.0))
    with pytest.raises(WireError, match=r"expected the terms steps, weight, got weight$"):
        read_plain_update(data, SHAPES, np.dtype("float64"))
