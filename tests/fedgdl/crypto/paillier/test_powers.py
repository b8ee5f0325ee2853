"""Powers: the same numbers from lanes, from tables and one after the other."""

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st
from paillier_keys import RandomStream, djn_key

from fedgdl.crypto.paillier import power_table
from fedgdl.crypto.paillier.lanes import lanes_are_available
from fedgdl.crypto.paillier.power_table import PowerTable
from fedgdl.crypto.paillier.private import powers
from fedgdl.crypto.paillier.private.powers import power_function


@pytest.fixture(params=["one after the other", "in lanes"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Has powers computed in one place or the other, however few they are."""
    in_lanes = request.param == "in lanes"
    if in_lanes and not lanes_are_available():
        pytest.skip("needs numba and a processor with AVX-512 IFMA")
    monkeypatch.setattr(powers, "worth_lanes", lambda *_: in_lanes)
    monkeypatch.setattr(power_table, "_MIN_LANE_BITS", 1 if in_lanes else 10**6)
    name: str = request.param
    return name


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("bits", [64, 512, 1024])
@pytest.mark.parametrize("count", [0, 1, 8, 19])
def test_powers_are_python_s(bits: int, count: int) -> None:
    stream = RandomStream(f"{bits} {count}")
    modulus, exponent, *bases = (int.from_bytes(stream(bits // 8)) | 1 for _ in range(count + 2))
    bases = [base * modulus + base for base in bases]  # not reduced
    power = power_function(exponent, modulus, count)
    expected = [pow(base, exponent, modulus) for base in bases]
    assert power(list(map(mpz, bases))) == expected
    assert power(list(map(mpz, bases[:3]))) == expected[:3]


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("num_threads", [1, 2])
def test_many_ciphertexts_are_decrypted_alike(num_threads: int) -> None:
    key = djn_key(512)
    n, n_squared, hs = key.public_key.n, key.public_key.n_squared, key.public_key.hs
    ciphertexts = [key.public_key.encrypt(n - number - 1, pow(hs, number + 2, n_squared)) for number in range(70)]
    assert key.decrypt_many(ciphertexts, num_threads) == [n - number - 1 for number in range(70)]


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("window_bits", [1, 4, 8])
@pytest.mark.parametrize("num_windows", [1, 2, 5])
def test_a_table_gives_python_s_powers(window_bits: int, num_windows: int) -> None:
    stream = RandomStream(f"{window_bits} {num_windows}")
    root, base = 2**255 - 19, int.from_bytes(stream(64))
    table = PowerTable(root, base, window_bits, num_windows)
    digits = np.frombuffer(stream(num_windows * 11), np.uint8).reshape(num_windows, 11) & 2**window_bits - 1
    digits[:, 0], digits[:, 1] = 0, 2**window_bits - 1
    weights = [2 ** (window_bits * index) for index in range(num_windows)]
    exponents = [sum(map(int.__mul__, column, weights)) for column in digits.T.tolist()]
    assert table.powers(digits) == [pow(base, exponent, root * root) for exponent in exponents]
    assert table.num_bytes >= num_windows * 2**window_bits * 64


@given(st.integers(1, 10**12).map(lambda half: 2 * half + 1), st.integers(2, 10**30), st.lists(st.integers(0, 255)))
def test_a_table_of_any_base(root: int, base: int, exponents: list[int]) -> None:
    base = base * root + 1  # has an inverse
    digits = np.array(exponents, np.uint8).reshape(1, -1)
    assert PowerTable(root, base, 8, 1).powers(digits) == [pow(base, exponent, root * root) for exponent in exponents]


@pytest.mark.parametrize("give_away", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_table_is_not_copied(give_away: Callable[[object], object]) -> None:
    table = PowerTable(1019, 5, 4, 2)
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        give_away(table)
    assert "1019" not in repr(table)
