import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from encoded_cohorts import Cohort, add_up, cohorts, exact_experiment, layout_of, normal_updates
from hypothesis import assume, given
from hypothesis import strategies as st

from fedgdl.config import AggregationConfig
from fedgdl.errors import AggregationError, ConfigError, CryptoError, FedgdlError
from fedgdl.federated import (
    ClientUpdate,
    FedAvg,
    Strategy,
    SumKind,
    UpdateEncoding,
    make_strategy,
    make_update_encoding,
    rounding_stream,
)
from fedgdl.parameters import Layout

TAIL = ("counter", "train_loss", "train_accuracy", "clipped_share", "weight_capped")


def make_encoding(
    size: int = 4, cohort_size: int = 3, weighting: str = "num_examples", **settings: Any
) -> UpdateEncoding:
    experiment = exact_experiment(cohort_size, weighting, **settings)
    return make_update_encoding(experiment, make_strategy(experiment.strategy), layout_of(size))


def encoded_vectors(cohort: Cohort) -> list[npt.NDArray[Any]]:
    encoding = cohort.encoding
    return [
        encoding.encode(update, rounding_stream(1, 1, f"client-{number}")).vector
        for number, update in enumerate(cohort.updates)
    ]


def bits_of(sums: Any) -> list[tuple[str, bytes]]:
    return [(name, array.tobytes()) for name, array in sums.sums.items()] + [(str(sums.means), b"")]


@given(cohorts())
def test_opened_sums_are_within_the_stated_bound(cohort: Cohort) -> None:
    encoding = cohort.encoding
    opened = encoding.decode(add_up(encoded_vectors(cohort)), len(cohort.updates))
    total_weight = sum(cohort.weights)
    assert opened.num_clients == len(cohort.updates)
    assert opened.sums["weight"].tolist() == [total_weight]
    bound = Fraction(encoding.max_mean_error(len(cohort.updates), total_weight)) * total_weight
    bits, clip = cohort.experiment.aggregation.bits, Fraction(cohort.experiment.aggregation.clip)
    slack = bound * Fraction(2) ** (bits - 49) + clip * total_weight / 2**48
    for position, value in enumerate(opened.sums["weighted_delta"].tolist()):
        assert abs(Fraction(value) - cohort.exact_weighted_sum(position)) <= bound + slack


@given(cohorts())
def test_a_weighted_mean_is_off_by_no_more_than_the_formula_says(cohort: Cohort) -> None:
    """(step / 2) * K * W / (w_1 + ... + w_K), twice that for stochastic rounding, and step / 2 for equal weights."""
    settings, weights = cohort.experiment.aggregation, cohort.weights
    num_clients, largest = len(weights), settings.max_weight or 1
    step = settings.clip / (2 ** (settings.bits - 1) - 1)
    half = step / 2 if settings.rounding == "nearest" else step
    bound = cohort.encoding.max_mean_error(num_clients, sum(weights))
    assert bound == pytest.approx(half * num_clients * largest / sum(weights), rel=1e-12)
    if set(weights) == {largest}:
        assert bound == pytest.approx(half, rel=1e-12)
    opened = cohort.encoding.decode(add_up(encoded_vectors(cohort)), num_clients)
    mean, _ = cohort.strategy.step(np.zeros(cohort.layout.size), opened.sums, {})
    truth = [float(cohort.exact_weighted_sum(position) / sum(weights)) for position in range(cohort.layout.size)]
    assert np.abs(mean - truth).max() <= bound * (1 + 1e-5) + settings.clip * 1e-13


@given(cohorts(), st.randoms(use_true_random=False))
def test_neither_the_order_nor_what_the_wire_leaves_out_changes_a_bit(cohort: Cohort, random: Any) -> None:
    encoding, vectors = cohort.encoding, encoded_vectors(cohort)
    expected = bits_of(encoding.decode(add_up(vectors), len(vectors)))
    shuffled = list(vectors)
    random.shuffle(shuffled)
    assert bits_of(encoding.decode(add_up(shuffled), len(vectors))) == expected
    received = [encoding.unpack(encoding.pack(vector)) for vector in shuffled]
    assert bits_of(encoding.decode(add_up(received), len(vectors))) == expected


@given(cohorts(), st.integers(0, 2**32))
def test_sums_of_masked_and_trimmed_vectors_are_the_same_sums(cohort: Cohort, seed: int) -> None:
    """Only the low bytes of a masked slot cross the wire: what comes back is right modulo 256 to their number."""
    encoding, vectors = cohort.encoding, encoded_vectors(cohort)
    rng = np.random.default_rng(seed)
    masks = [rng.integers(0, 2 ** (8 * encoding.dtype.itemsize), encoding.size, encoding.dtype) for _ in vectors]
    sent = [encoding.pack(vector + mask) for vector, mask in zip(vectors, masks, strict=True)]
    assert {len(payload) for payload in sent} == {encoding.num_bytes}
    total = add_up([encoding.unpack(payload) for payload in sent]) - add_up(masks)
    kept = total.copy()
    opened = encoding.decode(total, len(vectors))
    assert bits_of(opened) == bits_of(encoding.decode(add_up(vectors), len(vectors)))
    assert total.tobytes() == kept.tobytes()


@given(cohorts())
def test_means_are_those_of_the_clients(cohort: Cohort) -> None:
    encoding, updates = cohort.encoding, cohort.updates
    means = encoding.decode(add_up(encoded_vectors(cohort)), len(updates)).means
    assert list(means) == list(TAIL[1:])
    finest = 0.5 / encoding.spec["metric_code"] * (1 + 1e-9)
    losses = np.mean([min(update.train_loss, 16) for update in updates])
    assert abs(means["train_loss"] - losses) <= 16 * finest
    assert abs(means["train_accuracy"] - np.mean([update.train_accuracy for update in updates])) <= finest
    clip = cohort.experiment.aggregation.clip
    share = np.mean([np.mean(np.abs(update.delta.astype(np.float64)) > clip) for update in updates])
    assert -1e-12 <= means["clipped_share"] - share <= 2 * finest
    assert means["clipped_share"] > 0 or share == 0
    capped = [update.num_examples > (cohort.experiment.aggregation.max_weight or 1) for update in updates]
    is_weighted = cohort.experiment.strategy.weighting == "num_examples"
    assert means["weight_capped"] == (np.mean(capped) if is_weighted else 0)


def test_a_vector_has_the_slots_in_their_stated_order() -> None:
    """Each number is derived: offset 127, step clip / 127 = 1, times the largest weight 4."""
    encoding = make_encoding(3, cohort_size=2, clip=127.0, bits=8, max_weight=4)
    update = ClientUpdate(
        np.array([127.0, -200.0, 8.0], np.float32), num_examples=2, train_loss=4.0, train_accuracy=1.0
    )
    encoded = encoding.encode(update)
    assert encoding.bytes_per_slot == 2  # 2 * 254 needs two
    top = 65_535 // 2
    third = -(-top // 3)
    # 2 * 127 / 4 = 63.5, 2 * -127 / 4 = -63.5, 2 * 8 / 4 = 4; ties to even
    assert encoded.vector.tolist() == [127 + 64, 127 - 64, 127 + 4, 2, 1, round(top / 4), top, third, 0]
    assert encoding.size == len(encoded.vector) == 3 + 1 + len(TAIL)
    assert encoding.pack(encoded.vector) == encoded.vector.astype("<u2").tobytes()
    assert encoded.clipped_share == pytest.approx(1 / 3)
    assert not encoded.is_weight_capped


def test_one_clipped_element_among_a_million_shows() -> None:
    size = 1_000_000
    encoding = make_encoding(size, cohort_size=100)
    deltas = [np.zeros(size, np.float32), np.zeros(size, np.float32)]
    deltas[0][765_432] = 1.0  # just within
    deltas[1][765_432] = np.nextafter(np.float32(1), np.float32(2))
    shares = []
    for delta in deltas:
        encoded = encoding.encode(ClientUpdate(delta, 1, 0.0, 0.0))
        shares.append((encoded.clipped_share, encoding.decode(encoded.vector, 1).means["clipped_share"]))
    assert shares[0] == (0.0, 0.0)
    assert shares[1][0] == 1e-6
    assert shares[1][1] >= 1e-6


def test_more_examples_than_the_largest_weight_are_capped_and_told() -> None:
    encoding = make_encoding(1, max_weight=8)
    updates = [ClientUpdate(np.array([0.5]), count, 0.0, 0.0) for count in (8, 9, 1000)]
    encoded = [encoding.encode(update) for update in updates]
    assert [update.is_weight_capped for update in encoded] == [False, True, True]
    opened = encoding.decode(add_up([update.vector for update in encoded]), 3)
    assert opened.sums["weight"].tolist() == [24.0]
    assert opened.means["weight_capped"] == pytest.approx(2 / 3)


def test_equal_weights_cost_no_precision_and_cap_nobody() -> None:
    encoding = make_encoding(1, weighting="equal", max_weight=1)
    encoded = encoding.encode(ClientUpdate(np.array([0.3]), 1000, 0.0, 0.0))
    opened = encoding.decode(encoded.vector, 1)
    assert abs(opened.sums["weighted_delta"][0] - 0.3) <= 0.5 / 32_767
    assert (encoded.is_weight_capped, opened.sums["weight"].tolist()) == (False, [1.0])


@pytest.mark.parametrize(("loss", "accuracy", "expected"), [(99.0, 1.5, (16.0, 1.0)), (-1.0, -0.5, (0.0, 0.0))])
def test_metrics_beyond_their_range_are_told_as_its_end(
    loss: float, accuracy: float, expected: tuple[float, ...]
) -> None:
    encoding = make_encoding(1)
    means = encoding.decode(encoding.encode(ClientUpdate(np.zeros(1), 1, loss, accuracy)).vector, 1).means
    assert (means["train_loss"], means["train_accuracy"]) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_updates_that_are_not_finite_are_refused(value: float) -> None:
    encoding = make_encoding(4)
    delta = np.zeros(4, np.float32)
    with pytest.raises(CryptoError, match="have no code"):
        encoding.encode(ClientUpdate(delta, 1, value, 0.5))
    with pytest.raises(CryptoError, match="have no code"):
        encoding.encode(ClientUpdate(delta, 1, 0.5, value))
    delta[3] = value
    with pytest.raises(CryptoError, match="NaN or infinity"):
        encoding.encode(ClientUpdate(delta, 1, 0.5, 0.5))


def test_updates_of_another_model_are_refused() -> None:
    with pytest.raises(CryptoError, match=r"expected an update of 4 elements, got shape \(5,\)"):
        make_encoding(4).encode(ClientUpdate(np.zeros(5), 1, 0.5, 0.5))


def test_stochastic_rounding_needs_random_numbers_and_depends_on_nothing_else() -> None:
    encoding = make_encoding(1000, rounding="stochastic")
    (update,) = normal_updates(1, 1000, seed=1)
    with pytest.raises(CryptoError, match="random generator"):
        encoding.encode(update)
    vectors = [
        encoding.encode(update, rounding_stream(5, round_index, client)).vector.tobytes()
        for round_index, client in ((1, "bob"), (1, "bob"), (2, "bob"), (1, "sue"))
    ]
    assert vectors[0] == vectors[1]
    assert len(set(vectors)) == 3


def test_encoding_leaves_updates_and_earlier_vectors_alone() -> None:
    encoding = make_encoding(50)
    first, second = normal_updates(2, 50, seed=3, scale=2.0)
    kept = first.delta.copy()
    vector = encoding.encode(first).vector
    before = vector.copy()
    encoding.encode(second)
    assert vector.tobytes() == before.tobytes() == encoding.encode(first).vector.tobytes()
    assert first.delta.tobytes() == kept.tobytes()


@pytest.mark.parametrize("counted", [0, 1, 3, 2**32 - 1])
def test_a_sum_of_another_number_of_clients_is_refused(counted: int) -> None:
    encoding = make_encoding(2)
    total = add_up([encoding.encode(update).vector for update in normal_updates(2, 2, seed=1)])
    total[-len(TAIL)] = counted
    with pytest.raises(AggregationError, match=r"counts [\d,]+ clients where 2 were added"):
        encoding.decode(total, 2)


@pytest.mark.parametrize("num_clients", [0, -1, 4])
def test_sums_over_more_clients_than_there_is_room_for_are_refused(num_clients: int) -> None:
    encoding = make_encoding(2, cohort_size=3)
    with pytest.raises(AggregationError, match=r"the encoding is for 1 to 3"):
        encoding.decode(np.zeros(encoding.size, encoding.dtype), num_clients)


def test_sums_and_payloads_of_another_size_or_ring_are_refused() -> None:
    encoding = make_encoding(2)
    with pytest.raises(CryptoError, match=f"an encoded update has {encoding.num_bytes} bytes, got 3"):
        encoding.unpack(bytes(3))
    for vector in (np.zeros(encoding.size + 1, np.uint32), np.zeros(encoding.size, np.uint64)):
        with pytest.raises(AggregationError, match="expected 8 slots of uint32, got"):
            encoding.decode(vector, 1)


@pytest.mark.parametrize("ring_bits", [32, 64])
@pytest.mark.parametrize("num_clients", [1, 2, 3])
def test_every_slot_may_hold_its_limit_and_not_one_more(ring_bits: int, num_clients: int) -> None:
    encoding = make_encoding(2, cohort_size=3, bits=16, max_weight=8, ring_bits=ring_bits)
    code, metric = 2**16 - 2, encoding.spec["metric_code"]
    limits = [code, code, 8, 1, metric, metric, metric, 1]
    fullest = np.array([num_clients * limit for limit in limits], encoding.dtype)
    opened = encoding.decode(fullest, num_clients)
    np.testing.assert_allclose(opened.sums["weighted_delta"], 8 * num_clients, rtol=1e-15)
    assert opened.sums["weight"].tolist() == [8 * num_clients]
    assert opened.means == {"train_loss": 16, "train_accuracy": 1, "clipped_share": 1, "weight_capped": 1}
    names = ["weighted_delta", "weighted_delta", "weight", None, *TAIL[1:]]
    for slot, name in enumerate(names):
        beyond = fullest.copy()
        beyond[slot] += 1
        if int(beyond[slot]) == 256**encoding.bytes_per_slot:  # no such number crosses the wire
            continue
        reason = f"more in {name} than {num_clients} clients" if name else f"counts {num_clients + 1} clients"
        with pytest.raises(AggregationError, match=reason):
            encoding.decode(beyond, num_clients)


@pytest.mark.parametrize(
    ("cohort_size", "bits", "max_weight", "ring_bits", "expected"),
    [(3, 8, 1, 32, 2), (100, 16, 64, 32, 3), (100, 16, 2**20, 32, 4), (1000, 32, 1, 64, 6), (1, 8, 255, 64, 1)],
)
def test_slots_are_as_wide_as_the_largest_sum(
    cohort_size: int, bits: int, max_weight: int, ring_bits: int, expected: int
) -> None:
    encoding = make_encoding(1, cohort_size, bits=bits, max_weight=max_weight, ring_bits=ring_bits)
    assert encoding.bytes_per_slot == expected
    assert encoding.num_bytes == 7 * expected
    assert encoding.dtype == f"uint{ring_bits}"


def test_room_is_proved_at_the_exact_limit() -> None:
    make_encoding(1, 65_538, bits=16)  # 65,538 * 65,534 = 2**32 - 4
    with pytest.raises(ConfigError) as refusal:
        make_encoding(1, 65_539, bits=16)
    assert str(refusal.value).endswith(
        "aggregation.bits = 16 is too much for 65,539 clients; "
        "aggregation.bits up to 15 would fit, or take aggregation.ring_bits = 64"
    )
    make_encoding(1, 2, bits=8, max_weight=2**31 - 1)
    with pytest.raises(ConfigError) as refusal:
        make_encoding(1, 3, bits=8, max_weight=2**31 - 1)
    assert str(refusal.value).endswith(
        "aggregation.max_weight = 2,147,483,647 is too much for 3 clients; "
        "aggregation.max_weight up to 1,431,655,765 would fit, or take aggregation.ring_bits = 64"
    )
    make_encoding(1, 3, bits=8, max_weight=1_431_655_765)


@given(st.integers(1, 2**31 - 1), st.integers(2, 32))
def test_the_advice_fits_and_one_more_does_not(cohort_size: int, bits: int) -> None:
    assume(cohort_size * (2**bits - 2) >= 2**32)
    with pytest.raises(ConfigError) as refusal:
        make_encoding(1, cohort_size, bits=bits, max_weight=1)
    advice = str(refusal.value)
    make_encoding(1, cohort_size, bits=bits, max_weight=1, ring_bits=64)
    if "no aggregation.bits would fit" in advice:
        assert cohort_size * 2 >= 2**32
        return
    (advised,) = map(int, re.findall(r"aggregation\.bits up to (\d+) would fit", advice))
    make_encoding(1, cohort_size, bits=advised, max_weight=1)
    assert cohort_size * (2 ** (advised + 1) - 2) >= 2**32


def test_what_has_not_been_settled_or_makes_no_step_is_named() -> None:
    with pytest.raises(ConfigError, match=r"aggregation\.max_weight is to be settled"):
        UpdateEncoding(AggregationConfig(exact=True), FedAvg("equal"), layout_of(1), 3)
    with pytest.raises(ConfigError, match=r"aggregation\.clip = 1e-310 cannot be encoded"):
        make_encoding(clip=1e-310)
    experiment = msgspec.structs.replace(exact_experiment(), cohort_size=None)
    with pytest.raises(ConfigError, match="cohort_size is to be settled"):
        make_update_encoding(experiment, FedAvg("equal"), layout_of(1))


def test_equal_encodings_have_equal_digests_and_others_do_not() -> None:
    assert make_encoding().digest == make_encoding().digest
    variants = [
        make_encoding(),
        make_encoding(clip=np.nextafter(1.0, 2.0)),
        make_encoding(bits=17),
        make_encoding(rounding="stochastic"),
        make_encoding(ring_bits=64),
        make_encoding(max_weight=9),
        make_encoding(cohort_size=4),
        make_encoding(size=5),
        make_encoding(weighting="equal"),
        UpdateEncoding(exact_experiment().aggregation, FedAvg("num_examples"), Layout.of({"v": (4,)}), 3),
        UpdateEncoding(exact_experiment().aggregation, FedAvg("num_examples"), layout_of(4, "float64"), 3),
        UpdateEncoding(exact_experiment().aggregation, _Renamed(), layout_of(4), 3),
    ]
    digests = [encoding.digest for encoding in variants]
    assert len(set(digests)) == len(variants)
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)


class _Renamed(FedAvg):
    """Federated averaging under other names."""

    def __init__(self) -> None:
        super().__init__("num_examples")

    def sum_shapes(self, layout: Layout) -> dict[str, tuple[int, ...]]:
        return dict(zip(("moved", "mass"), super().sum_shapes(layout).values(), strict=True))

    def sum_kinds(self) -> dict[str, SumKind]:
        return {"moved": "weighted", "mass": "count"}


class _Stubborn(FedAvg):
    """A strategy that forms what it likes."""

    def __init__(self, **terms: Sequence[float]) -> None:
        super().__init__("num_examples")
        self._terms = terms

    def terms(self, update: ClientUpdate) -> dict[str, npt.NDArray[Any]]:
        return {**super().terms(update), **{name: np.array(term) for name, term in self._terms.items()}}


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        (_Stubborn(weight=[1.5]), "weight is a count"),
        (_Stubborn(weight=[-1.0]), "weight is a count"),
        (_Stubborn(weight=[9.0]), "weight is a count"),
        (_Stubborn(weight=[float("nan")]), "weight is a count"),
        (_Stubborn(weight=[1.0, 2.0]), r"declares weight of shape \(1,\) and forms it of shape \(2,\)"),
        (_Stubborn(weighted_delta=[8.01, 0.0]), "weighted_delta is weighted"),
        (_Stubborn(weighted_delta=[0.0, -8.01]), "weighted_delta is weighted"),
        (_Stubborn(weighted_delta=[0.0, float("nan")]), "weighted_delta is weighted"),
    ],
)
def test_terms_that_are_not_what_the_strategy_declares_are_refused(strategy: Strategy, reason: str) -> None:
    encoding = UpdateEncoding(exact_experiment().aggregation, strategy, layout_of(2), 3)
    with pytest.raises(FedgdlError, match=reason):
        encoding.encode(ClientUpdate(np.zeros(2), 3, 0.5, 0.5))


def test_a_strategy_that_does_not_say_what_its_sums_are_is_refused() -> None:
    class Reticent(FedAvg):
        def sum_kinds(self) -> dict[str, SumKind]:
            return {"weight": "count"}

    with pytest.raises(FedgdlError, match="declares the sums weighted_delta, weight and kinds of weight"):
        UpdateEncoding(exact_experiment().aggregation, Reticent("equal"), layout_of(2), 3)
