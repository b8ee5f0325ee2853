"""The checks pass right ciphertexts and find wrong ones; obfuscators are compared modulo n, whatever they hide."""

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from gmpy2 import mpz

from experiments.audit.ciphertexts import CiphertextChecks
from experiments.audit.obfuscators import ObfuscatorRelations
from experiments.audit.tallies import Check
from fedgdl.crypto.paillier import PaillierPublicKey, TableObfuscators, TextbookObfuscators
from fedgdl.crypto.paillier.private.generation import generate

SIZE = 120
NUM_CLIENTS = 3
ROUNDS = 2

Draw = Callable[[int, int], Sequence[int]]
"""(round, client) -> as many obfuscators as there are plaintexts."""

STATISTICS = {
    "bytes",
    "places of bytes",
    "distribution",
    "distribution modulo n",
    "obfuscators",
    "correlation with the true update",
    "correlation between vectors",
    "serial correlation",
}
EXACT = {"range", "one-time obfuscators", "unpredictable obfuscators"}


@cache
def key() -> PaillierPublicKey:
    return generate(256).public_key


@cache
def table() -> TableObfuscators:
    return TableObfuscators(key())


def plaintexts_of(round_index: int, client: int) -> list[mpz]:
    """Packed codes near the middle of their range, the first one in the leading bits."""
    rng = np.random.default_rng([round_index, client])
    codes = (32_767 + rng.normal(scale=3_000, size=SIZE)).astype(int)
    return [mpz(int(code)) << (key().plaintext_bits - 17) for code in codes]


def right(_round: int, _client: int) -> Sequence[int]:
    return table().draw(SIZE)


def checks_of(draw: Draw, encrypt: Callable[[int, int], int] | None = None) -> dict[str, Check]:
    checks = CiphertextChecks()
    for round_index in range(1, ROUNDS + 1):
        for client in range(NUM_CLIENTS):
            plaintexts, drawn = plaintexts_of(round_index, client), draw(round_index, client)
            ciphertexts = list(map(encrypt or key().encrypt, plaintexts, drawn))
            checks.add(round_index, f"client {client}", key(), [mpz(one) for one in ciphertexts], plaintexts)
    return {check.name: check for check in checks.results()}


def alarms(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if check.is_alarm}


def test_right_ciphertexts_raise_no_alarm() -> None:
    """Each of 3 runs raises one with a probability of one in a million."""
    for _ in range(3):
        checks = checks_of(right)
        assert checks.keys() == STATISTICS | EXACT
        assert {name: check.is_alarm for name, check in checks.items()} == dict.fromkeys(checks, False)
        assert {name for name, check in checks.items() if check.p_value is not None} == STATISTICS


@pytest.mark.slow
def test_p_values_of_right_ciphertexts_are_those_of_chance() -> None:
    """Each is below 1 % with a probability of at most 1 %: 24 of 480 are one chance in five million (binomial)."""
    p_values = [check.p_value for _ in range(60) for check in checks_of(right).values() if check.p_value is not None]
    assert len(p_values) == 480
    assert sum(p_value < 0.01 for p_value in p_values) < 24


def ones(_round: int, _client: int) -> Sequence[int]:
    """Nothing is hidden: (1 + m n) as it is."""
    return [1] * SIZE


def always_the_same(_round: int, _client: int) -> Sequence[int]:
    return [pow(7, int(key().n), int(key().n_squared))] * SIZE


@cache
def drawn_once(*_name: int) -> tuple[mpz, ...]:
    """The same obfuscators for the same name."""
    return tuple(table().draw(SIZE))


def power_of_base(exponent: int) -> int:
    assert key().hs is not None
    return pow(int(key().hs or 0), exponent, int(key().n_squared))


def same_for_all_clients(round_index: int, _client: int) -> Sequence[int]:
    return drawn_once(1, round_index)


def same_each_round(_round: int, client: int) -> Sequence[int]:
    return drawn_once(2, client)


def opposite(round_index: int, client: int) -> Sequence[int]:
    """Those of the second client undo those of the first: in their sum nothing is hidden."""
    drawn = drawn_once(3, round_index, client // 2)
    return drawn if client % 2 == 0 else [pow(int(one), -1, int(key().n_squared)) for one in drawn]


def counting(round_index: int, client: int) -> Sequence[int]:
    """A random first exponent, and the next ones counted up from there."""
    first = drawn_once(4, round_index, client)[0]
    return [first * power_of_base(step) % key().n_squared for step in range(SIZE)]


def small_exponents(_round: int, _client: int) -> Sequence[int]:
    exponents = np.random.default_rng().choice(60_000, SIZE, replace=False)
    return [power_of_base(int(exponent)) for exponent in exponents]


def rather_small_exponents(_round: int, _client: int) -> Sequence[int]:
    exponents = np.random.default_rng().choice(2**24, SIZE, replace=False)
    return [power_of_base(int(exponent)) for exponent in exponents]


def small_numbers(_round: int, _client: int) -> Sequence[int]:
    """Random numbers, but no n-th powers."""
    return [int(number) for number in np.random.default_rng().integers(2, 2**62, SIZE)]


def one_is_left_out(round_index: int, client: int) -> Sequence[int]:
    drawn = list(right(round_index, client))
    if (round_index, client) == (2, 1):
        drawn[17] = mpz(1)
    return drawn


def one_comes_twice(round_index: int, client: int) -> Sequence[int]:
    drawn = list(right(round_index, client))
    if (round_index, client) in {(1, 2), (2, 0)}:
        drawn[5] = always_the_same(0, 0)[0]
    return drawn


@pytest.mark.parametrize(
    ("draw", "finds"),
    [
        (ones, STATISTICS - {"serial correlation"} - {"correlation between vectors"} | EXACT - {"range"}),
        (always_the_same, {"one-time obfuscators", "distribution modulo n", "obfuscators"}),
        (same_for_all_clients, {"one-time obfuscators"}),
        (same_each_round, {"one-time obfuscators"}),
        (opposite, {"one-time obfuscators"}),
        (counting, {"one-time obfuscators"}),
        (small_exponents, {"unpredictable obfuscators"}),
        (rather_small_exponents, {"unpredictable obfuscators"}),
        (small_numbers, {"distribution modulo n", "obfuscators"}),
        (one_is_left_out, {"unpredictable obfuscators"}),
        (one_comes_twice, {"one-time obfuscators"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_wrong_obfuscators_raise_an_alarm(draw: Draw, finds: set[str]) -> None:
    checks = checks_of(draw)
    assert finds <= alarms(checks)
    for name in finds & STATISTICS:
        p_value = checks[name].p_value
        assert p_value is not None
        assert p_value < 1e-9
    assert "range" not in alarms(checks)


@pytest.mark.parametrize(
    ("encrypt", "finds"),
    [
        (lambda plaintext, drawn: (plaintext << 256) % key().n_squared + drawn % 2**128, "distribution"),
        (lambda plaintext, drawn: plaintext * 2**255 + drawn % 2**250, "correlation with the true update"),
        (lambda _, drawn: drawn & ~mpz(1), "places of bytes"),
        (lambda _, drawn: drawn & ~mpz(0xF0F0F0F0F0F0F0F0), "bytes"),
    ],
    ids=["half as long", "in the clear", "never odd", "nibbles left out"],
)
def test_what_only_looks_like_ciphertexts_raises_an_alarm(encrypt: Callable[[int, int], int], finds: str) -> None:
    assert finds in alarms(checks_of(right, lambda plaintext, drawn: _unit(encrypt(plaintext, drawn))))


def _unit(number: int) -> int:
    """Returns the next number up that is prime to n, so that its range is not what is found."""
    n = int(key().n)
    while math.gcd(int(number), n) != 1:
        number += 2
    return number


def test_slow_ciphertexts_tell_of_their_neighbours() -> None:
    def slowly(round_index: int, client: int) -> list[mpz]:
        rng = np.random.default_rng([round_index, client])
        shares = (rng.random() + np.cumsum(rng.random(SIZE) / 30)) % 1
        return [mpz(int(share * 2**60)) * key().n_squared // 2**60 // 2 * 2 + 1 for share in shares]

    checks = checks_of(lambda *_: [0] * SIZE, lambda *_: 0)
    assert "range" in alarms(checks)
    found = CiphertextChecks()
    for round_index in (1, 2):
        for client in range(NUM_CLIENTS):
            found.add(round_index, f"client {client}", key(), slowly(round_index, client), None)
    assert "serial correlation" in {check.name for check in found.results() if check.is_alarm}


def test_vectors_that_rise_and_fall_together_raise_an_alarm() -> None:
    """Close to one another, but never the same number twice."""
    rng, checks = np.random.default_rng(3), CiphertextChecks()
    common = rng.uniform(0.1, 0.9, SIZE)
    for client in range(NUM_CLIENTS):
        own = common + rng.uniform(-0.05, 0.05, SIZE)
        numbers = [mpz(int(share * 2**60)) * key().n_squared // 2**60 // 2 * 2 + 1 for share in own]
        checks.add(1, f"client {client}", key(), numbers, None)
    found = {check.name: check for check in checks.results()}
    assert found["correlation between vectors"].is_alarm
    assert found["one-time obfuscators"].is_alarm is False


@pytest.mark.parametrize("wrong", ["zero", "too large", "a multiple of a factor"])
def test_a_number_out_of_range_raises_an_alarm_and_spoils_nothing_else(wrong: str) -> None:
    private_key, checks = generate(256), CiphertextChecks()
    public_key = private_key.public_key
    number = {"zero": mpz(0), "too large": public_key.n_squared, "a multiple of a factor": private_key.factors[0] * 3}
    drawn = TableObfuscators(public_key).draw(SIZE)
    checks.add(1, "alice", public_key, drawn, None)
    checks.add(1, "bob", public_key, [*drawn[:5], number[wrong], *drawn[6:]], None)
    found = {check.name: check for check in checks.results()}
    assert found["range"].is_alarm
    assert found["range"].found == "1 of 240; first one of bob, round 1"
    assert alarms(found) == {"range"}


def test_obfuscators_of_a_textbook_key_are_guessed_by_their_bases() -> None:
    private_key = generate(256)
    public_key = PaillierPublicKey(private_key.public_key.n)
    relations = ObfuscatorRelations()
    relations.add("alice", public_key, TextbookObfuscators(public_key).draw(30))
    assert relations.weak().is_alarm is False
    n = int(public_key.n)
    relations.add("bob", public_key, [public_key.encrypt(9, pow(base, n, n * n)) for base in (2, 15, 251)])
    assert relations.weak().is_alarm
    assert relations.weak().found == "3 of 33 obfuscators were guessed, first one of bob"
    assert relations.repeated().is_alarm is False


def test_what_is_found_first_is_named() -> None:
    relations = ObfuscatorRelations()
    first, second, third = table().draw(3)
    relations.add("alice in round 1", key(), [first, second])
    relations.add("bob in round 1", key(), [third])
    relations.add("sue in round 2", key(), [key().encrypt(77, second)])
    assert relations.repeated().found == (
        "4 ciphertexts; 1 obfuscator came before, first in one of sue in round 2 that alice in round 1 had used"
    )


def test_with_few_or_no_ciphertexts_nothing_is_claimed() -> None:
    checks = CiphertextChecks()
    assert {check.is_alarm for check in checks.results()} == {None}
    checks.add(1, "alice", key(), [], [])
    assert {check.is_alarm for check in checks.results()} == {None}
    checks.add(1, "alice", key(), table().draw(2), None)
    found = {check.name: check.is_alarm for check in checks.results()}
    assert {name for name, is_alarm in found.items() if is_alarm is False} == EXACT
    assert not any(found.values())


def test_the_truth_may_be_unknown() -> None:
    checks = CiphertextChecks()
    checks.add(1, "alice", key(), table().draw(250), None)
    found = {check.name: check.is_alarm for check in checks.results()}
    assert found["obfuscators"] is None
    assert found["correlation with the true update"] is None
    assert found["bytes"] is found["distribution"] is False
