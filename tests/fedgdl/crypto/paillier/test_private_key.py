"""Private keys: what they decrypt, what they refuse, what a fault would do, and that they tell nobody their primes."""

import copy
import itertools
import math
import pickle
import threading
from collections.abc import Sequence

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from paillier_keys import BLUM_PRIMES, SAFE_PRIMES, RandomStream, djn_key, textbook_key

from fedgdl.crypto.paillier import PaillierPublicKey
from fedgdl.crypto.paillier.private import PaillierPrivateKey
from fedgdl.crypto.paillier.private.chunks import collect, each_chunk
from fedgdl.crypto.paillier.private.documents import MAX_DOCUMENT_BYTES, decode_document, encode_document
from fedgdl.errors import CryptoError

KEYS = {"djn": djn_key(256), "textbook": textbook_key(256)}
P, Q = BLUM_PRIMES[256]
N = P * Q
FORMAT = "fedgdl paillier private key"

schemes = st.sampled_from(sorted(KEYS))
plaintexts = st.integers(0, N - 1) | st.sampled_from([0, 1, N - 1, N - 2, P, Q])
units = st.integers(1, N - 1).filter(lambda number: math.gcd(number, N) == 1)


def ciphertext_of(scheme: str, plaintext: int, secret: int) -> int:
    """By definition, with Python's own arithmetic."""
    hs = KEYS[scheme].public_key.hs
    obfuscator = pow(secret, N, N * N) if hs is None else pow(int(hs), secret, N * N)
    return pow(N + 1, plaintext, N * N) * obfuscator % (N * N)


@given(schemes, plaintexts, units)
def test_every_plaintext_comes_back(scheme: str, plaintext: int, secret: int) -> None:
    assert KEYS[scheme].decrypt(ciphertext_of(scheme, plaintext, secret)) == plaintext


@given(schemes, st.integers(1, N * N - 1).filter(lambda number: math.gcd(number, N) == 1))
def test_every_unit_decrypts_as_without_the_chinese_remainder_theorem(scheme: str, ciphertext: int) -> None:
    """Paillier 1999, section 4: L(c^lambda) / L(g^lambda), with lambda = lcm(p - 1, q - 1) and g = n + 1."""
    carmichael = math.lcm(P - 1, Q - 1)
    expected = (pow(ciphertext, carmichael, N * N) - 1) // N * pow(carmichael, -1, N) % N
    assert KEYS[scheme].decrypt(ciphertext) == expected


@settings(max_examples=30)
@given(schemes, st.lists(plaintexts, min_size=2, max_size=5), st.data())
def test_a_product_of_ciphertexts_is_the_sum(scheme: str, addends: list[int], data: st.DataObject) -> None:
    key = KEYS[scheme]
    ciphertexts = [ciphertext_of(scheme, addend, data.draw(units)) for addend in addends]
    assert key.decrypt(math.prod(ciphertexts) % (N * N)) == sum(addends) % N


@pytest.mark.parametrize("num_threads", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 100])
def test_many_are_decrypted_in_order_whoever_computes(num_threads: int, count: int) -> None:
    told: list[tuple[int, int]] = []
    key = KEYS["djn"]
    ciphertexts = [ciphertext_of("djn", number, number + 7) for number in range(count)]
    decrypted = key.decrypt_many(ciphertexts, num_threads, lambda done, total: told.append((done, total)))
    assert decrypted == list(range(count))
    assert all(isinstance(number, type(mpz())) for number in decrypted)
    assert told == [(min(end, count), count) for end in range(32, count + 32, 32)][: len(told)]
    assert (told[-1] if told else (0, 0)) == (count, count)


NO_CIPHERTEXTS = [0, -1, N * N, N * N + 1, P, Q, N, P * P, N * (N - 1), -5]


@pytest.mark.parametrize("number", NO_CIPHERTEXTS)
@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_what_is_no_ciphertext_ends_in_one_error(scheme: str, number: int) -> None:
    with pytest.raises(CryptoError) as caught:
        KEYS[scheme].decrypt(number)
    assert str(caught.value) == "the ciphertexts cannot be used"
    good = ciphertext_of(scheme, 1, 2)
    for num_threads in (1, 2):
        with pytest.raises(CryptoError) as caught:
            KEYS[scheme].decrypt_many([good] * 40 + [number] + [good] * 40, num_threads)
        assert str(caught.value) == "the ciphertexts cannot be used"


def powers(plaintext: int) -> tuple[int, int]:
    ciphertext = ciphertext_of("djn", plaintext, 99)
    return pow(ciphertext, P - 1, P * P), pow(ciphertext, Q - 1, Q * Q)


@given(plaintexts, st.booleans(), st.data())
def test_a_power_that_went_wrong_gives_no_plaintext(plaintext: int, is_p: bool, data: st.DataObject) -> None:
    """What would come out is right modulo the other prime: gcd(wrong - right, n) would be that prime."""
    key = KEYS["djn"]
    assert key.factors == (P, Q)
    power_p, power_q = powers(plaintext)
    assert key._plaintext(mpz(power_p), mpz(power_q)) == plaintext
    prime = P if is_p else Q
    wrong = data.draw(st.integers(0, prime * prime - 1).filter(lambda number: number % prime != 1))
    with pytest.raises(CryptoError, match=r"^the ciphertexts cannot be used$"):
        key._plaintext(*map(mpz, (wrong, power_q) if is_p else (power_p, wrong)))


@pytest.mark.parametrize("constant", ["_p_inverse", "_scale_p", "_scale_q"])
def test_a_constant_that_went_wrong_gives_no_plaintext(constant: str) -> None:
    key = PaillierPrivateKey(P, Q, PaillierPublicKey(N))
    ciphertext = ciphertext_of("textbook", N - 3, 6)
    assert key.decrypt(ciphertext) == N - 3
    setattr(key, constant, getattr(key, constant) ^ 4)
    with pytest.raises(CryptoError, match=r"^the ciphertexts cannot be used$"):
        key.decrypt(ciphertext)


NEAR = int(gmpy2.next_prime(BLUM_PRIMES[512][0]))

WRONG_KEYS = {
    "the same prime twice": (P, P, N),
    "another product": (P, Q, BLUM_PRIMES[128][0] * BLUM_PRIMES[128][1]),
    "one and all": (1, N, N),
    "negative": (-P, -Q, N),
    "three primes": (3, 5 * 7 * 11, 3 * 5 * 7 * 11),
    "a composite": (13, 25, 13 * 25),
    "too near": (BLUM_PRIMES[512][0], NEAR, BLUM_PRIMES[512][0] * NEAR),
    "p divides q - 1": (7, 29, 7 * 29),
    "even": (2, 67, 2 * 67),
}


@pytest.mark.parametrize("name", sorted(WRONG_KEYS))
def test_wrong_primes_are_refused(name: str) -> None:
    p, q, n = WRONG_KEYS[name]
    with pytest.raises(CryptoError, match=r"^the Paillier p[a-z]+ key cannot be used$"):
        PaillierPrivateKey(p, q, PaillierPublicKey(n))


def test_the_order_of_the_primes_does_not_matter() -> None:
    assert PaillierPrivateKey(Q, P, PaillierPublicKey(N)).to_document() == textbook_key(256).to_document()


def test_hs_has_to_be_what_it_should() -> None:
    key = djn_key(256)
    hs = int(key.public_key.hs)
    square = pow(3, 2 * N, N * N)
    for wrong in (hs * (N + 1) % (N * N), hs + N, square, N * N - 1, pow(hs, 2, N * N), 5):
        with pytest.raises(CryptoError, match="cannot be used"):
            PaillierPrivateKey(P, Q, PaillierPublicKey(N, wrong))
    PaillierPrivateKey(P, Q, PaillierPublicKey(N, pow(hs, 3, N * N)))


@pytest.mark.parametrize(("p", "q"), [(1009, 1019), (1031, 1931)], ids=["no Blum number", "gcd(p - 1, q - 1) = 10"])
def test_keys_with_hs_need_blum_primes_without_a_common_divisor(p: int, q: int) -> None:
    n = p * q
    PaillierPrivateKey(p, q, PaillierPublicKey(n))
    with pytest.raises(CryptoError, match="cannot be used"):
        PaillierPrivateKey(p, q, PaillierPublicKey(n, pow(-4, n, n * n)))


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_nothing_shows_or_copies_the_primes(scheme: str) -> None:
    key = KEYS[scheme]
    shown = f"{key} {key!r} {key!s} {key:} {[key]} {format(key)}"
    assert shown.count(repr(key.public_key)) == 6
    for prime, spell in itertools.product((P, Q), (str, hex, "{:x}".format, "{:X}".format)):
        assert spell(prime)[2:12] not in shown
    for give_away in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            give_away(key)
    assert not hasattr(key, "__dict__")


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_keys_are_equal_to_themselves_alone(scheme: str) -> None:
    key = KEYS[scheme]
    twin = PaillierPrivateKey.from_document(key.to_document())
    assert len({key, twin, key}) == 2
    assert twin.public_key == key.public_key
    assert twin.factors == key.factors
    assert twin.decrypt(ciphertext_of(scheme, 5, 3)) == 5


def tells_nothing(error: BaseException) -> bool:
    """Returns whether an error, all that it carries, and what it came from hold no part of the primes."""
    texts = [str(error), repr(error.args), repr(getattr(error, "__notes__", "")), repr(vars(error))]
    is_alone = error.__cause__ is None and error.__context__ is None
    return is_alone and not any(
        f"{prime:x}"[at : at + 6] in text for prime in (P, Q) for at in range(20) for text in texts
    )


def test_every_changed_or_cut_document_is_refused() -> None:
    document = djn_key(256).to_document()
    changed = [
        document[:index] + bytes([byte ^ bit]) + document[index + 1 :]
        for index, byte in enumerate(document)
        for bit in (1, 16)
    ]
    cut = [document[:end] for end in range(len(document))]
    more = [document + b"\n", b" " + document, document * 2, document.upper(), document.replace(b'"p"', b'"P"')]
    for wrong in [
        *changed,
        *cut,
        *more,
        b"",
        b"null",
        b"[]",
        b"[" * 100_000,
        b"9" * 5000,
        bytes(MAX_DOCUMENT_BYTES + 1),
    ]:
        with pytest.raises(CryptoError) as caught:
            PaillierPrivateKey.from_document(wrong)
        assert str(caught.value) == "the Paillier private key cannot be used"
        assert tells_nothing(caught.value)


def with_numbers(**numbers: int | None) -> bytes:
    """Returns a document that is well written, whatever it says."""
    return encode_document(FORMAT, {"p": P, "q": Q, "hs": int(djn_key(256).public_key.hs), **numbers})


WELL_WRITTEN = [
    with_numbers(p=Q, q=P),
    with_numbers(p=P + 2),
    with_numbers(q=Q - 2),
    with_numbers(p=None),
    with_numbers(q=None),
    with_numbers(p=0),
    with_numbers(hs=0),
    with_numbers(hs=1),
    with_numbers(hs=7),
    with_numbers(hs=N * N),
    with_numbers(p=1, q=N),
    with_numbers(p=-P, q=-Q),
    with_numbers(another=5),
    encode_document("fedgdl paillier public key", {"p": P, "q": Q, "hs": None}),
    encode_document(FORMAT, {"p": P, "q": Q}),
]


@pytest.mark.parametrize("document", WELL_WRITTEN, ids=range(len(WELL_WRITTEN)))
def test_documents_with_a_right_check_sum_and_wrong_numbers_are_refused(document: bytes) -> None:
    assert PaillierPrivateKey.from_document(with_numbers()).factors == (P, Q)
    with pytest.raises(CryptoError, match=r"^the Paillier p[a-z]+ key cannot be used$") as caught:
        PaillierPrivateKey.from_document(document)
    assert tells_nothing(caught.value)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.none() | st.integers(0, 2**300), min_size=1))
def test_documents_hold_whole_numbers_of_any_size(numbers: dict[str, int | None]) -> None:
    data = encode_document("numbers", numbers)
    assert decode_document("numbers", data, tuple(numbers)) == numbers
    assert decode_document("letters", data, tuple(numbers)) is None
    assert decode_document("numbers", data, tuple(numbers)[1:]) is None
    assert decode_document("numbers", data, (*numbers, "d")) is None


def test_chunks_that_fail_end_all() -> None:
    begun: list[int] = []

    def compute(chunk: Sequence[int]) -> list[int]:
        begun.append(chunk[0])
        if chunk[0] >= 32:
            message = "no"
            raise CryptoError(message)
        return list(chunk)

    for num_threads in (1, 2):
        begun.clear()
        with pytest.raises(CryptoError, match=r"^no$"):
            list(each_chunk(compute, range(32_000), num_threads))
        assert len(begun) < 1000


@pytest.mark.parametrize("num_threads", [1, 2])
def test_whoever_is_told_can_end_all(num_threads: int) -> None:
    begun: list[int] = []

    def compute(chunk: Sequence[int]) -> list[int]:
        begun.append(chunk[0])
        return list(chunk)

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        collect(each_chunk(compute, range(64_000), num_threads), 64_000, interrupt)
    assert len(begun) < 2000
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("powers")], caught


def test_short_safe_primes_make_keys_as_well() -> None:
    p, q = SAFE_PRIMES[128]
    key = PaillierPrivateKey(p, q, PaillierPublicKey(p * q))
    stream = RandomStream("safe")
    for _ in range(20):
        plaintext = int.from_bytes(stream(15))
        assert key.decrypt(key.public_key.encrypt(plaintext, pow(3, p * q, (p * q) ** 2))) == plaintext
