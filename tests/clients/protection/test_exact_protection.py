from typing import Any

import numpy as np
import pytest
from encoded_cohorts import exact_experiment, layout_of, normal_updates
from hypothesis import given
from hypothesis import strategies as st

from clients.protection import make_protection
from clients.protection.exact import ExactProtection
from fedgdl.errors import ClientError, ConfigError, ProtocolError
from fedgdl.federated import ClientUpdate, EncodedUpdate, make_strategy, make_update_encoding, rounding_stream
from fedgdl.wire import EncodedPlainUpdate, decode_struct

SIZE = 6
MODEL = "0" * 64


def make_exact(**settings: Any) -> ExactProtection:
    experiment = exact_experiment(**settings)
    return ExactProtection(experiment, make_strategy(experiment.strategy), layout_of(SIZE))


@given(
    st.integers(0, 2**32),
    st.sampled_from(["nearest", "stochastic"]),
    st.sampled_from([32, 64]),
    st.sampled_from(["float32", "float64"]),
)
def test_a_client_sends_its_encoded_vector_and_its_metrics(
    seed: int, rounding: str, ring_bits: int, dtype: Any
) -> None:
    experiment = exact_experiment(rounding=rounding, ring_bits=ring_bits, seed=seed)
    strategy = make_strategy(experiment.strategy)
    (update,) = normal_updates(1, SIZE, seed, dtype=dtype)
    protection = ExactProtection(experiment, strategy, layout_of(SIZE, dtype))
    sent = decode_struct(protection.protect("bob", 7, MODEL, b"", b"", update), EncodedPlainUpdate)
    encoding = make_update_encoding(experiment, strategy, layout_of(SIZE, dtype))
    expected = encoding.encode(update, rounding_stream(seed, 7, "bob")).vector
    assert encoding.unpack(sent.vector).tolist() == expected.tolist()
    assert (sent.num_examples, sent.train_loss, sent.train_accuracy) == (
        update.num_examples,
        update.train_loss,
        update.train_accuracy,
    )


def test_random_rounding_is_that_of_the_client_and_the_round() -> None:
    (update,) = normal_updates(1, SIZE, seed=1)
    settings = {"rounding": "stochastic", "bits": 8}
    payloads = [
        make_exact(seed=seed, **settings).protect(client_id, round_index, MODEL, b"", b"", update)
        for seed, client_id, round_index in [(1, "bob", 1), (1, "bob", 1), (2, "bob", 1), (1, "sue", 1), (1, "bob", 2)]
    ]
    assert payloads[0] == payloads[1]
    assert len(set(payloads)) == 4


def test_the_simulator_is_told_what_was_encoded() -> None:
    told: list[tuple[str, int, EncodedUpdate]] = []
    experiment = exact_experiment(clip=0.5)
    protection = ExactProtection(
        experiment, make_strategy(experiment.strategy), layout_of(4), lambda *what: told.append(what)
    )
    update = ClientUpdate(np.array([0.25, -0.75, 0.5, 0.0], np.float32), 100, 0.5, 1.0)
    payload = protection.protect("bob", 3, MODEL, b"", b"", update)
    ((client_id, round_index, encoded),) = told
    assert (client_id, round_index, encoded.clipped_share, encoded.is_weight_capped) == ("bob", 3, 0.25, True)
    sent = decode_struct(payload, EncodedPlainUpdate).vector
    assert sent == b"".join(int(slot).to_bytes(3, "little") for slot in encoded.vector)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_client_whose_update_is_not_finite_is_named(value: float) -> None:
    delta = np.zeros(SIZE, np.float32)
    for update in (ClientUpdate(delta + np.float32(value), 1, 0.5, 0.5), ClientUpdate(delta, 1, value, 0.5)):
        with pytest.raises(ClientError, match=r"^client 'bob': its update cannot be encoded: ") as refusal:
            make_exact().protect("bob", 1, MODEL, b"", b"", update)
        assert refusal.value.public_reason == "it has no usable update"


def test_there_is_no_stage_but_the_one_that_trains() -> None:
    protection = make_exact()
    protection.check_model("bob", 1, MODEL)
    assert not protection.is_private
    with pytest.raises(ProtocolError, match="asked for a stage 'unmask'"):
        protection.answer("unmask", 1, "bob", b"", b"")


def test_it_goes_with_exact_plain_aggregation() -> None:
    experiment = exact_experiment()
    protection = make_protection(experiment, make_strategy(experiment.strategy), layout_of(SIZE), None)
    assert type(protection) is ExactProtection


def test_what_has_no_room_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(ConfigError, match=r"aggregation\.bits up to 30 would fit"):
        make_exact(bits=32)
