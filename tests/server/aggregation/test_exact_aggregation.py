from typing import Any

import msgspec
import numpy as np
import pytest
from encoded_cohorts import Cohort, add_up, cohorts, exact_experiment, layout_of, normal_updates
from hypothesis import given
from hypothesis import strategies as st

from clients.protection.exact import ExactProtection
from fedgdl.errors import AggregationError, ClientError
from fedgdl.federated import ClientRecord, ClientUpdate, CohortSums, rounding_stream
from fedgdl.wire import EncodedPlainUpdate, decode_struct, encode_struct
from server.aggregation import make_aggregation
from server.aggregation.exact import ExactAggregation, ExactCohort

MODEL = "0" * 64
THREE = Cohort(exact_experiment(), layout_of(4), normal_updates(3, 4, seed=1))


def payloads_of(cohort: Cohort) -> dict[str, bytes]:
    protection = ExactProtection(cohort.experiment, cohort.strategy, cohort.layout)
    return {
        f"client-{number}": protection.protect(f"client-{number}", 1, MODEL, b"", b"", update)
        for number, update in enumerate(cohort.updates)
    }


def open_round(cohort: Cohort) -> ExactCohort:
    aggregation = ExactAggregation(cohort.experiment, cohort.strategy, cohort.layout)
    return aggregation.open_round(1, 1, tuple(payloads_of(cohort)), MODEL)


def bits_of(sums: CohortSums) -> Any:
    return {name: array.tobytes() for name, array in sums.sums.items()}, sums.num_clients, sums.means


@given(cohorts(), st.randoms(use_true_random=False))
def test_sums_are_those_of_the_integers_in_any_order_of_arrival(cohort: Cohort, random: Any) -> None:
    attempt = open_round(cohort)
    arrivals = list(payloads_of(cohort).items())
    random.shuffle(arrivals)
    for client_id, payload in arrivals:
        attempt.take("train", client_id, payload)
    encoding = cohort.encoding
    vectors = [
        encoding.encode(update, rounding_stream(cohort.experiment.seed, 1, f"client-{number}")).vector
        for number, update in enumerate(cohort.updates)
    ]
    assert bits_of(attempt.finish()) == bits_of(encoding.decode(add_up(vectors), len(vectors)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_model_is_that_of_plain_averaging_to_within_half_a_step(dtype: Any) -> None:
    experiment = exact_experiment(clip=5.0, bits=20, max_weight=16)
    cohort = Cohort(experiment, layout_of(100, dtype), normal_updates(3, 100, seed=2, dtype=dtype))
    attempt = open_round(cohort)
    for client_id, payload in payloads_of(cohort).items():
        attempt.take("train", client_id, payload)
    server = np.linspace(-1, 1, 100).astype(dtype)
    model, _ = cohort.strategy.step(server, attempt.finish().sums, {})
    weights = [update.num_examples for update in cohort.updates]
    mean = np.average([update.delta.astype(np.float64) for update in cohort.updates], axis=0, weights=weights)
    assert model.dtype == dtype
    bound = 5.0 / (2**19 - 1) / 2 * 3 * 16 / sum(weights)
    assert np.abs(model - (server + mean)).max() <= bound + 2 * np.finfo(dtype).eps


def test_a_good_payload_tells_of_its_client() -> None:
    attempt = open_round(THREE)
    update = THREE.updates[1]
    assert attempt.take("train", "client-1", payloads_of(THREE)["client-1"]) == ClientRecord(
        "client-1", "done", update.num_examples, update.train_loss, update.train_accuracy
    )


def test_clients_that_are_missing_are_in_neither_the_sum_nor_the_count() -> None:
    attempt, payloads = open_round(THREE), payloads_of(THREE)
    attempt.begin("train", tuple(payloads))
    for client_id in ("client-2", "client-0"):
        assert attempt.common("train") == attempt.message("train", client_id) == b""
        attempt.take("train", client_id, payloads[client_id])
    opened = attempt.finish()
    assert opened.num_clients == 2
    assert opened.sums["weight"].tolist() == [THREE.weights[0] + THREE.weights[2]]


def test_a_cohort_without_updates_has_no_sum() -> None:
    with pytest.raises(AggregationError, match="no client sent a usable update"):
        open_round(THREE).finish()


@given(cohorts())
def test_no_valid_payload_is_larger_than_promised(cohort: Cohort) -> None:
    aggregation = ExactAggregation(cohort.experiment, cohort.strategy, cohort.layout)
    longest = msgspec.structs.replace(
        decode_struct(payloads_of(cohort)["client-0"], EncodedPlainUpdate), num_examples=2**53
    )
    assert len(encode_struct(longest)) <= aggregation.max_payload_bytes


@pytest.mark.parametrize(
    ("slot", "value", "reason"),
    [
        (0, 2**16 - 1, "more in weighted_delta than 1 clients"),
        (3, 2**24 - 1, "more in weighted_delta than 1 clients"),
        (4, 9, "more in weight than 1 clients"),
        (5, 0, "counts 0 clients where 1 were added"),
        (5, 2, "counts 2 clients where 1 were added"),
        (6, 2**24 - 1, "more in train_loss than 1 clients"),
        (8, 2**24 - 1, "more in clipped_share than 1 clients"),
        (9, 2, "more in weight_capped than 1 clients"),
    ],
)
def test_a_vector_that_no_client_can_have_is_refused_by_name_and_added_to_nothing(
    slot: int, value: int, reason: str
) -> None:
    attempt, encoding, payloads = open_round(THREE), THREE.encoding, payloads_of(THREE)
    attempt.take("train", "client-0", payloads["client-0"])
    before = bits_of(attempt.finish())
    update = decode_struct(payloads["client-1"], EncodedPlainUpdate)
    vector = encoding.unpack(update.vector)
    vector[slot] = value
    forged = encode_struct(msgspec.structs.replace(update, vector=encoding.pack(vector)))
    with pytest.raises(ClientError, match=f"client 'client-1': its update is none that a client can have: .*{reason}"):
        attempt.take("train", "client-1", forged)
    assert bits_of(attempt.finish()) == before


@pytest.mark.parametrize("cut", [1, 3, -3])
def test_vectors_of_another_length_are_refused(cut: int) -> None:
    update = decode_struct(payloads_of(THREE)["client-0"], EncodedPlainUpdate)
    wrong = update.vector[:-cut] if cut > 0 else update.vector + bytes(-cut)
    with pytest.raises(ClientError, match="its payload cannot be read: an encoded update has 30 bytes"):
        open_round(THREE).take("train", "ann", encode_struct(msgspec.structs.replace(update, vector=wrong)))


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_no_number_is_refused(loss: float) -> None:
    update = decode_struct(payloads_of(THREE)["client-0"], EncodedPlainUpdate)
    with pytest.raises(ClientError, match=f"client 'ann': its update states a training loss of {loss}"):
        open_round(THREE).take("train", "ann", encode_struct(msgspec.structs.replace(update, train_loss=float(loss))))


GOOD = payloads_of(THREE)["client-0"]


@given(st.binary(max_size=200) | st.tuples(st.integers(0, len(GOOD) - 1), st.integers(1, 255)))
def test_any_bytes_are_a_valid_payload_or_a_client_error(damage: Any) -> None:
    data = damage
    if isinstance(damage, tuple):
        position, flips = damage
        data = GOOD[:position] + bytes([GOOD[position] ^ flips]) + GOOD[position + 1 :]
    attempt = open_round(THREE)
    try:
        record = attempt.take("train", "ann", data)
    except ClientError:
        return
    assert record.client_id == "ann"
    assert all(np.isfinite(array).all() for array in attempt.finish().sums.values())


def test_metrics_of_the_cohort_are_means_over_its_clients() -> None:
    updates = tuple(ClientUpdate(np.zeros(4, np.float32), 1, loss, accuracy) for loss, accuracy in ((1, 1), (3, 0)))
    cohort = Cohort(exact_experiment(), layout_of(4), updates)
    attempt = open_round(cohort)
    for client_id, payload in payloads_of(cohort).items():
        attempt.take("train", client_id, payload)
    means = attempt.finish().means
    assert means == pytest.approx(
        {"train_loss": 2, "train_accuracy": 0.5, "clipped_share": 0, "weight_capped": 0}, abs=1e-5
    )


def test_it_goes_with_exact_plain_protection() -> None:
    aggregation = make_aggregation(THREE.experiment, THREE.strategy, THREE.layout)
    assert type(aggregation) is ExactAggregation
    (stage,) = aggregation.open_round(1, 1, ("ann",), MODEL).stages
    assert (stage.name, stage.min_answers, stage.trains) == ("train", 1, True)
