"""Threshold decryption: any t of n open, fewer do not, and nothing that is wrong opens anything."""

import copy
import hashlib
import itertools
import math
import pickle
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from paillier_keys import SAFE_PRIMES, RandomStream

from fedgdl.crypto.paillier import PaillierPublicKey, combine
from fedgdl.crypto.paillier.private import KeyShare, PaillierPrivateKey, deal, share_key
from fedgdl.crypto.paillier.private.documents import encode_document
from fedgdl.crypto.paillier.threshold import MAX_SHARES, _product_of_powers, _weights_at_zero
from fedgdl.errors import CryptoError

NO_PLAINTEXTS = "^the partial decryptions give no plaintexts$"
P, Q = SAFE_PRIMES[128]
N = P * Q
M = (P // 2) * (Q // 2)
PLAINTEXTS = [0, 1, N - 1, 123456789, N // 2]


@cache
def dealt(num_shares: int, threshold: int) -> tuple[PaillierPublicKey, tuple[KeyShare, ...]]:
    return share_key(P, Q, num_shares, threshold, random_bytes=RandomStream(f"{threshold} of {num_shares}"))


def encrypt(public_key: PaillierPublicKey, plaintexts: Iterable[int]) -> list[mpz]:
    """Half of them as this key's scheme has it, half as the textbook."""
    hs, n = int(public_key.hs), int(public_key.n)
    ciphertexts = []
    for index, plaintext in enumerate(plaintexts):
        obfuscator = pow(777 + index, n, n * n) if index % 2 else pow(hs, 12345 + index, n * n)
        ciphertexts.append(public_key.encrypt(plaintext, obfuscator))
    return ciphertexts


def partials_of(shares: Iterable[KeyShare], ciphertexts: Sequence[mpz]) -> dict[int, list[mpz]]:
    return {share.x: share.partial_decrypt_many(ciphertexts) for share in shares}


SIZES = [(num_shares, threshold) for num_shares in range(1, 6) for threshold in range(1, num_shares + 1)]


@pytest.mark.parametrize(("num_shares", "threshold"), SIZES)
def test_any_threshold_of_shares_opens_and_no_fewer(num_shares: int, threshold: int) -> None:
    public_key, shares = dealt(num_shares, threshold)
    ciphertexts = encrypt(public_key, PLAINTEXTS)
    partials = partials_of(shares, ciphertexts)
    for count in range(num_shares + 1):
        for xs in itertools.combinations(range(1, num_shares + 1), count):
            some = {x: partials[x] for x in reversed(xs)}
            if count >= threshold:
                assert combine(public_key, num_shares, threshold, some) == PLAINTEXTS
                continue
            with pytest.raises(CryptoError, match=NO_PLAINTEXTS):
                combine(public_key, num_shares, threshold, some)
            if some:  # whoever says that fewer are enough gets nothing either
                with pytest.raises(CryptoError, match=NO_PLAINTEXTS):
                    combine(public_key, num_shares, count, some)


def interpolate(points: dict[int, int], modulus: int) -> int:
    """The value at 0 of the polynomial of least degree through points, as in a textbook."""
    total = 0
    for x, value in points.items():
        numerator = math.prod(-other for other in points if other != x)
        denominator = math.prod(x - other for other in points if other != x)
        total += value * numerator * pow(denominator, -1, modulus)
    return total % modulus


@pytest.mark.parametrize(("num_shares", "threshold"), SIZES)
def test_shares_are_points_of_a_polynomial_whose_value_at_0_decrypts(num_shares: int, threshold: int) -> None:
    """The dealer's numbers, looked at with the order n m that only it knew."""
    _, shares = dealt(num_shares, threshold)
    order = N * M
    values = {share.x: int(share._value) for share in shares}
    assert max(values.values()) < order
    for xs in itertools.combinations(values, threshold):
        exponent = interpolate({x: values[x] for x in xs}, order)
        assert (exponent % M, exponent % N) == (0, 1)
    for xs in itertools.combinations(values, threshold - 1) if threshold > 1 else ():
        exponent = interpolate({x: values[x] for x in xs}, order)
        assert exponent % M != 0
        assert exponent % N != 1


def whole_weights(xs: Sequence[int], at: int, num_shares: int) -> dict[int, int]:
    """The weights of Lagrange's interpolation at a place, times the factorial: whole numbers, whatever the places."""
    weights = {
        x: Fraction(
            math.prod(at - other for other in xs if other != x), math.prod(x - other for other in xs if other != x)
        )
        * math.factorial(num_shares)
        for x in xs
    }
    assert all(weight.denominator == 1 for weight in weights.values())
    return {x: weight.numerator for x, weight in weights.items()}


@pytest.mark.parametrize(("num_shares", "threshold"), SIZES)
def test_what_others_say_follows_from_the_plaintext_and_fewer_shares(num_shares: int, threshold: int) -> None:
    """So they learn nothing else from it: Damgard and Jurik 2001, section 4.1.

    A share with the factorial multiplied into it and reduced would have fractions in these exponents, and the part of
    another holder would be a new square root of a known square, which for half of the textbook's ciphertexts factors n.
    """
    public_key, shares = dealt(num_shares, threshold)
    plaintext, n_squared = 123456789, N * N
    for number in range(4):  # with either Jacobi symbol
        ciphertext = public_key.encrypt(plaintext, pow(777 + number, N, n_squared))
        for known in itertools.combinations(shares, threshold - 1):
            for other in (share for share in shares if share not in known):
                weights = whole_weights([0, *(share.x for share in known)], other.x, num_shares)
                part = pow(1 + 2 * plaintext * N, weights[0], n_squared)
                for share in known:
                    part = part * pow(int(ciphertext), 2 * weights[share.x] * int(share._value), n_squared) % n_squared
                assert other.partial_decrypt_many([ciphertext]) == [part]


def test_fewer_shares_leave_every_exponent_possible() -> None:
    """For each secret there is exactly one polynomial through the known points: differences of xs have inverses."""
    xs = range(MAX_SHARES + 1)
    assert all(math.gcd(difference, N * M) == 1 for difference in xs[1:])


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))), st.data())
@settings(max_examples=40)
def test_any_choice_of_many_shares_opens(size: tuple[int, int], data: st.DataObject) -> None:
    num_shares, threshold = size
    public_key, shares = dealt(num_shares, threshold)
    chosen = data.draw(st.permutations(shares))[: data.draw(st.integers(threshold, num_shares))]
    plaintexts = data.draw(st.lists(st.integers(0, N - 1), max_size=3))
    ciphertexts = encrypt(public_key, plaintexts)
    assert combine(public_key, num_shares, threshold, partials_of(chosen, ciphertexts)) == plaintexts


def test_a_hundred_shares() -> None:
    public_key, shares = dealt(100, 51)
    ciphertexts = encrypt(public_key, PLAINTEXTS)
    for chosen in (shares[:51], shares[49:], shares[::2] + shares[1:2]):
        assert combine(public_key, 100, 51, partials_of(chosen, ciphertexts)) == PLAINTEXTS


def test_a_sum_is_opened_as_a_sum() -> None:
    public_key, shares = dealt(5, 3)
    total = math.prod(map(int, encrypt(public_key, PLAINTEXTS))) % (N * N)
    assert combine(public_key, 5, 3, partials_of(shares[1:4], [mpz(total)])) == [sum(PLAINTEXTS) % N]


WRONG_XS = {"none": (), "too few": (1, 2), "x = 0": (0, 1, 2), "negative": (-1, 2, 3), "too large": (1, 2, 3, 6)}


@pytest.mark.parametrize("name", sorted(WRONG_XS))
def test_wrong_xs_are_refused(name: str) -> None:
    public_key, shares = dealt(5, 3)
    partials = partials_of(shares, encrypt(public_key, [5]))
    with pytest.raises(CryptoError, match=NO_PLAINTEXTS):
        combine(public_key, 5, 3, {x: partials.get(x, partials[1]) for x in WRONG_XS[name]})


@pytest.mark.parametrize("num_given", [3, 5])
def test_wrong_partials_are_refused(num_given: int) -> None:
    public_key, shares = dealt(5, 3)
    ciphertexts = encrypt(public_key, PLAINTEXTS)
    good = partials_of(shares[:num_given], ciphertexts)
    another_deal = dict(enumerate(share_key(P, Q, 5, 3)[1], start=1))
    wrong = {
        "the same share twice": good | {2: good[1]},
        "two exchanged": good | {1: good[2], 2: good[1]},
        "another deal's": good | {1: another_deal[1].partial_decrypt_many(ciphertexts)},
        "another ciphertext's": good | {1: good[1][::-1]},
        "one damaged": good | {1: [*good[1][:-1], good[1][-1] ^ 1]},
        "one missing": good | {1: good[1][:-1]},
        "one too many": good | {1: [*good[1], mpz(1)]},
        "zero": good | {1: [*good[1][:-1], mpz(0)]},
        "n squared": good | {1: [*good[1][:-1], public_key.n_squared]},
        "not reduced": good | {1: [*good[1][:-1], good[1][-1] + public_key.n_squared]},
        "negative": good | {1: [*good[1][:-1], -good[1][-1]]},
        "a multiple of a prime": good | {1: [*good[1][:-1], mpz(P)]},
        "a multiple of a prime, which is divided by": good | {2: [*good[2][:-1], mpz(Q)]},
        "no decryption": good | {1: ciphertexts},
    }
    assert combine(public_key, 5, 3, good) == PLAINTEXTS
    for name, partials in wrong.items():
        with pytest.raises(CryptoError, match=NO_PLAINTEXTS):
            pytest.fail(f"{name}: {combine(public_key, 5, 3, partials)}")


def test_other_sizes_than_those_dealt_open_nothing() -> None:
    public_key, shares = dealt(5, 3)
    partials = partials_of(shares, encrypt(public_key, [5, N - 5]))
    with pytest.raises(CryptoError, match=NO_PLAINTEXTS):
        combine(public_key, 5, 2, partials)
    # More than were needed determine the same polynomial; the factorial of another number of shares does not fit.
    assert combine(public_key, 5, 4, partials) == [5, N - 5]
    assert combine(public_key, 6, 3, partials) != [5, N - 5]


@pytest.mark.parametrize(("num_shares", "threshold"), [(0, 0), (3, 0), (3, 4), (3, -1), (MAX_SHARES + 1, 2)])
def test_impossible_sizes_are_refused(num_shares: int, threshold: int) -> None:
    public_key, shares = dealt(3, 2)
    message = f"^{num_shares} shares cannot have the threshold {threshold}$"
    with pytest.raises(CryptoError, match=message):
        combine(public_key, num_shares, threshold, {})
    with pytest.raises(CryptoError, match=message):
        deal(num_shares, threshold, 128)
    with pytest.raises(CryptoError, match=message):
        share_key(P, Q, num_shares, threshold)
    with pytest.raises(CryptoError, match=message):
        KeyShare(public_key, 1, int(shares[0]._value), num_shares, threshold)


def test_a_key_with_small_factors_opens_nothing_that_was_shared_out_among_many() -> None:
    with pytest.raises(CryptoError, match=NO_PLAINTEXTS):
        combine(PaillierPublicKey(7 * 11), 11, 1, {1: [mpz(1)]})


@given(st.sets(st.integers(1, 200), min_size=1, max_size=20), st.data())
def test_weights_interpolate_and_are_as_short_as_can_be(xs: set[int], data: st.DataObject) -> None:
    weights, ratio = _weights_at_zero(tuple(sorted(xs)))
    coefficients = data.draw(st.lists(st.integers(-(10**9), 10**9), min_size=len(xs), max_size=len(xs)))
    values = [sum(c * x**power for power, c in enumerate(coefficients)) for x in sorted(xs)]
    total = sum(weight * value for weight, value in zip(weights, values, strict=True))
    assert total == Fraction(int(ratio.numerator), int(ratio.denominator)) * coefficients[0]
    assert math.gcd(*weights) == 1
    assert all(isinstance(weight, int) for weight in weights)


@given(st.lists(st.tuples(st.integers(1, 10**30), st.integers(1, 2**80)), max_size=6), st.integers(3, 10**30))
def test_products_of_powers(powers: list[tuple[int, int]], modulus: int) -> None:
    expected = math.prod(pow(base, exponent, modulus) for base, exponent in powers) % modulus
    assert _product_of_powers([(mpz(base), exponent) for base, exponent in powers], mpz(modulus)) % modulus == expected


def test_dealt_from_scratch() -> None:
    told: list[tuple[int, int]] = []
    public_key, shares = deal(4, 2, 256, on_progress=lambda done, expected: told.append((done, expected)))
    assert public_key.num_bits == 256
    assert public_key.scheme == "djn"
    assert [(share.x, share.num_shares, share.threshold) for share in shares] == [(x, 4, 2) for x in range(1, 5)]
    assert {share.public_key for share in shares} == {public_key}
    ciphertexts = encrypt(public_key, [0, 42])
    assert combine(public_key, 4, 2, partials_of(shares[2:], ciphertexts)) == [0, 42]
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert len({expected for _, expected in told}) == 1


def test_the_same_bytes_deal_the_same_shares_and_others_others() -> None:
    documents = [
        b"".join(share.to_bytes() for share in deal(3, 2, 128, random_bytes=RandomStream(label))[1])
        for label in ("a", "a", "b")
    ]
    assert documents[0] == documents[1] != documents[2]


@pytest.mark.slow
def test_a_key_of_2048_bits_is_dealt() -> None:
    public_key, shares = deal(3, 2, 2048)
    ciphertexts = encrypt(public_key, [2**2000, 1])
    assert combine(public_key, 3, 2, partials_of(shares[1:], ciphertexts)) == [2**2000, 1]


@pytest.mark.parametrize(
    ("p", "q"),
    [(P, P), (P, Q + 2), (0xF53A66AB776120CB, 0xFBDD20FA12BE625B), (5, 7), (P, 5)],
    ids=["the same", "no prime", "not safe", "too small", "one too small"],
)
def test_other_primes_cannot_be_shared_out(p: int, q: int) -> None:
    with pytest.raises(CryptoError, match="cannot be"):
        share_key(p, q, 3, 2)


def test_primes_of_which_a_share_could_be_a_multiple_are_not_shared_out() -> None:
    assert len(share_key(P, Q, 10, 2)[1]) == 10
    with pytest.raises(CryptoError, match=r"^these primes cannot be shared out$"):
        share_key(23, Q, 11, 2)  # 23 = 2 * 11 + 1: share 11 would be the value at 0 modulo 11
    with pytest.raises(CryptoError, match=r"^these primes cannot be shared out$"):
        share_key(Q, 23, 11, 2)


def test_values_are_spread_over_all_their_range() -> None:
    """Of 4,000 values in 16 equal parts, chi-squared with 15 degrees of freedom exceeds 60 once in 4 million times."""
    _, shares = share_key(P, Q, 4000, 2, random_bytes=RandomStream("spread"))
    counts = [0] * 16
    for share in shares:
        counts[int(share._value) * 16 // (N * M)] += 1
    assert sum((count - 250) ** 2 / 250 for count in counts) < 60


@pytest.mark.parametrize("num_threads", [1, 2])
def test_many_partial_decryptions_by_several_threads(num_threads: int) -> None:
    public_key, shares = dealt(3, 2)
    ciphertexts = encrypt(public_key, range(80))
    told: list[tuple[int, int]] = []
    partials = shares[0].partial_decrypt_many(ciphertexts, num_threads, lambda done, total: told.append((done, total)))
    exponent = 2 * math.factorial(3) * int(shares[0]._value)
    assert partials == [gmpy2.powmod(ciphertext, exponent, public_key.n_squared) for ciphertext in ciphertexts]
    assert told[-1] == (80, 80)
    for wrong in (mpz(0), mpz(-1), public_key.n_squared):
        with pytest.raises(CryptoError, match=r"^the ciphertexts cannot be used$"):
            shares[0].partial_decrypt_many([*ciphertexts, wrong], num_threads)


def test_shares_as_documents() -> None:
    public_key, shares = dealt(3, 2)
    for share in shares:
        again = KeyShare.from_bytes(share.to_bytes())
        assert again != share
        assert again.to_bytes() == share.to_bytes()
        assert (again.public_key, again.x, again.num_shares, again.threshold) == (public_key, share.x, 3, 2)
    assert len({hashlib.sha256(share.to_bytes()).digest() for share in shares}) == 3


def test_every_changed_or_cut_document_is_refused() -> None:
    _, shares = dealt(3, 2)
    document = shares[0].to_bytes()
    numbers = {"n": N, "hs": int(shares[0].public_key.hs), "x": 1, "value": 5, "num_shares": 3, "threshold": 2}
    assert KeyShare.from_bytes(encode_document("fedgdl paillier key share", numbers)).x == 1
    wrong = [
        {"x": 0},
        {"x": 4},
        {"value": N * N},
        {"threshold": 4},
        {"threshold": 0},
        {"n": 15},
        {"n": None},
        {"x": None},
    ]
    written = [
        encode_document("fedgdl paillier key share", numbers | change) for change in [*wrong, {"hs": 0}, {"y": 1}]
    ]
    changed = [document[:at] + bytes([document[at] ^ 1]) + document[at + 1 :] for at in range(len(document))]
    for data in [*written, *changed, *(document[:end] for end in range(0, len(document), 3)), document * 2]:
        with pytest.raises(CryptoError) as caught:
            KeyShare.from_bytes(data)
        assert caught.value.__context__ is None
        assert f"{shares[0]._value:x}"[5:12] not in str(caught.value)


def test_nothing_shows_or_copies_a_share() -> None:
    public_key, shares = dealt(3, 2)
    share = shares[1]
    shown = f"{share} {share!r} {share!s} {shares} {format(share)}"
    assert repr(share) == f"KeyShare(2 of 3, threshold 2, {public_key!r})"
    assert f"{share._value}"[3:12] not in shown
    assert f"{share._value:x}"[3:12] not in shown
    for give_away in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            give_away(share)
    assert not hasattr(share, "__dict__")


def test_the_dealer_s_primes_would_decrypt_the_same() -> None:
    public_key, shares = dealt(3, 2)
    ciphertexts = encrypt(public_key, PLAINTEXTS)
    whole = PaillierPrivateKey(P, Q, public_key)
    assert whole.decrypt_many(ciphertexts) == combine(public_key, 3, 2, partials_of(shares[:2], ciphertexts))
