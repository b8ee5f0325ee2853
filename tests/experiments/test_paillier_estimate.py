"""What an encrypted run is expected to cost: counted here by hand, and against what really is made."""

import math
from typing import Any

import pytest

from experiments.paillier_estimate import EncryptedRun, Phase, estimate, phases_of
from fedgdl.crypto.paillier import PaillierPublicKey, TableObfuscators
from fedgdl.crypto.paillier.lanes import lanes_are_available


def run_of(**changes: Any) -> EncryptedRun:
    """Returns four clients in two workers on two cores, three rounds, ten ciphertexts of 256 bits an update."""
    usual: dict[str, Any] = {
        "key_bits": 256,
        "num_ciphertexts": 10,
        "vector_bytes": 300,
        "num_clients": 4,
        "num_rounds": 3,
        "num_cores": 2,
        "num_workers": 2,
        "population": 6,
    }
    return EncryptedRun(**{**usual, **changes})


def phases(**changes: Any) -> dict[str, Phase]:
    return {phase.name: phase for phase in phases_of(run_of(**changes))}


def work_of(name: str, **changes: Any) -> dict[str, float]:
    return {operation: count for operation, count in phases(**changes)[name].work.items() if count}


def a_microsecond(operation: str) -> float:
    """Returns what each operation costs here."""
    assert operation
    return 1e-6


UPDATES = 4 * 3
CIPHERTEXTS = 10 * UPDATES
TABLE = 16 * 256
"""A row for each byte of an exponent of 128 bits, and an entry for each value that it may have."""


def test_the_table_has_a_row_for_each_byte_of_an_exponent_half_as_long_as_the_key() -> None:
    assert run_of().num_windows == 128 // 8
    assert run_of(key_bits=3072).num_windows == 192
    assert run_of(key_bits=130).num_windows == 10  # 65 bits, in bytes, and an even number of them
    assert work_of("prepare") == {"entry": 2 * TABLE}
    assert work_of("prepare", scheme="textbook") == {}
    assert work_of("prepare", is_signed=False) == {"entry": 3 * TABLE}  # the coordinator has one of its own


def test_each_ciphertext_takes_a_row_for_each_byte_of_its_exponent() -> None:
    expected = {"row": 16 * CIPHERTEXTS, "obfuscator": CIPHERTEXTS, "half product": 2 * CIPHERTEXTS}
    assert work_of("encrypt") == expected
    assert phases()["encrypt"].largest_share == 1 / 2
    assert phases(num_workers=3)["encrypt"].largest_share == 2 / 4  # one of three has two of the four clients
    textbook = work_of("encrypt", scheme="textbook")
    assert textbook == {"power bit": 256 * CIPHERTEXTS, "half product": 2 * CIPHERTEXTS}


def test_those_who_know_the_factors_have_two_tables_of_half_the_size() -> None:
    assert work_of("prepare", key_holder="clients") == {"half entry": 2 * 2 * TABLE}
    found = work_of("encrypt", key_holder="clients")
    assert found == {
        "half row": 2 * 16 * CIPHERTEXTS,
        "half obfuscator": 2 * CIPHERTEXTS,
        "half product": 2 * CIPHERTEXTS,
    }


@pytest.mark.parametrize(
    ("changes", "num_adders"),
    [
        ({}, 1),
        ({"key_holder": "coordinator", "is_signed": False}, 1),
        ({"key_holder": "clients"}, 2),
        ({"key_holder": "clients", "num_workers": 4}, 4),
        ({"key_holder": "threshold", "threshold": 3}, 2),
        ({"key_holder": "threshold", "threshold": 3, "num_workers": 4}, 3),
        ({"key_holder": "clients", "is_signed": False}, 1),
    ],
)
def test_a_sum_is_one_product_a_ciphertext_for_each_who_forms_it(changes: dict[str, Any], num_adders: int) -> None:
    found = work_of("add", **changes)
    sums = 10 * 3
    is_signed = changes.get("is_signed", True)
    assert found["half product"] == CIPHERTEXTS * num_adders
    assert found["product"] == CIPHERTEXTS * num_adders + (0 if is_signed else sums)
    assert found.get("obfuscator", 0) == (0 if is_signed else sums)  # the coordinator re-randomises what it added up
    assert phases(**changes)["add"].largest_share == 1 / num_adders


def test_opening_takes_two_powers_a_ciphertext_and_a_sum() -> None:
    assert work_of("open") == {"half power bit": 2 * 128 * 10 * 3}
    assert phases()["open"].largest_share == 1 / 2  # the key holder uses all cores
    assert work_of("open", key_holder="clients", num_workers=3) == {"half power bit": 2 * 128 * 10 * 3 * 3}
    assert phases(key_holder="clients", num_workers=3)["open"].largest_share == 1 / 3


def test_a_part_of_a_decryption_is_a_power_twice_as_long_as_the_key_and_the_factorial_of_the_population() -> None:
    of_clients = 3 * 10 * 3 * (2 * 256 + round(math.log2(math.factorial(6))))
    found = work_of("open", key_holder="threshold", threshold=3)
    assert of_clients <= found["power bit"] < 1.1 * of_clients
    assert phases(key_holder="threshold", threshold=3)["open"].largest_share == 2 / 3


def test_lanes_are_counted_on_where_there_are_some_and_enough_for_them_to_do() -> None:
    many = {"key_bits": 3072, "num_ciphertexts": 900}
    assert set(work_of("open", **many)) == {"half power bit"}
    assert set(work_of("open", **many, has_lanes=True)) == {"half lane power bit"}
    assert set(work_of("open", has_lanes=True)) == {"half power bit"}
    shared = {"key_holder": "threshold", "threshold": 3, "has_lanes": True}
    assert set(work_of("open", **many, **shared)) == {"lane power bit", "power bit"}


def test_a_key_is_searched_for_unless_it_is_in_a_file_and_safe_primes_far_longer() -> None:
    assert work_of("key", has_key=True) == {}
    one, safe = (work_of("key", key_bits=2048, key_holder=holder, threshold=2) for holder in ("process", "threshold"))
    assert 0 < 5 * one["test bit"] < safe["test bit"]


def test_the_wall_clock_waits_for_the_busiest_and_for_the_cores() -> None:
    phase = Phase("encrypt", {"product": 100e6}, largest_share=1 / 4)
    assert phase.cpu_seconds(a_microsecond) == pytest.approx(100)
    for num_cores, seconds in ((1, 100), (2, 50), (64, 25)):
        assert phase.wall_seconds(a_microsecond, num_cores) == pytest.approx(seconds)


def test_what_is_not_done_is_not_measured() -> None:
    asked = []

    def cost(operation: str) -> float:
        asked.append(operation)
        return 0.0

    estimate(run_of(has_key=True), cost)
    assert set(asked) == {"entry", "row", "obfuscator", "product", "half product", "half power bit"}


def test_seconds_are_the_sum_of_all_phases() -> None:
    found = estimate(run_of(), a_microsecond)
    names = ("key", "prepare", "encrypt", "add", "open")
    assert found["seconds"] == pytest.approx(sum(found[f"{name}_seconds"] for name in names))
    assert found["cpu_seconds"] == pytest.approx(sum(found[f"{name}_cpu_seconds"] for name in names))
    assert found["seconds"] < found["cpu_seconds"]
    assert (found["workers"], found["cores"]) == (2, 2)


@pytest.mark.parametrize(
    ("changes", "update_sizes", "answer_sizes"),
    [
        ({}, 4, 0),
        ({"key_holder": "clients"}, 4, 4 * 300 / 640),
        ({"key_holder": "threshold", "threshold": 3}, 4 + 3, 0),
    ],
)
def test_bytes_are_those_of_ciphertexts(changes: dict[str, Any], update_sizes: int, answer_sizes: float) -> None:
    found = estimate(run_of(**changes), a_microsecond)
    update = 10 * 64
    sent = 3 * (update_sizes + answer_sizes) * update
    assert sent <= found["bytes_up"] <= sent + 3 * 8 * 400
    assert update <= found["bytes_up_per_client"] <= 2 * (update + 400)


def test_twice_the_rounds_take_twice_the_time_but_for_key_and_tables() -> None:
    once, twice = (phases(num_rounds=rounds) for rounds in (3, 6))
    for name in ("encrypt", "add", "open"):
        assert twice[name].work == {operation: 2 * count for operation, count in once[name].work.items()}
    for name in ("key", "prepare"):
        assert twice[name] == once[name]


def test_the_tables_memory_is_what_they_take() -> None:
    n = (2**521 - 1) * (2**607 - 1)  # two Mersenne primes, both 3 modulo 4
    key = PaillierPublicKey(n, hs=pow(n * n - 9, n, n * n))
    expected = run_of(key_bits=key.num_bits, has_lanes=lanes_are_available()).table_bytes
    assert TableObfuscators(key).num_bytes == pytest.approx(expected, rel=0.1)
