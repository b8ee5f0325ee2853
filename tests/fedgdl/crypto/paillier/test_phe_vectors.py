"""python-phe as the oracle: its own published answers with our keys, and each one's ciphertexts with the other's key.

The numbers of the first tests are those of phe/tests/paillier_test.py in phe 1.5.0 (PaillierGeneric and
PaillierTestRawEncryption), where they are the known answers of raw keys, raw encryption and raw decryption.
"""

import phe
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st
from paillier_keys import SAFE_PRIMES, djn_key, textbook_key

from fedgdl.crypto.paillier import PaillierPublicKey, combine, make_obfuscators
from fedgdl.crypto.paillier.private import CrtObfuscators, PaillierPrivateKey, generate, share_key
from fedgdl.errors import CryptoError

KEYS = {"djn": djn_key(256), "textbook": textbook_key(256)}
N = int(KEYS["djn"].public_key.n)

schemes = st.sampled_from(sorted(KEYS))
plaintexts = st.integers(0, N - 1) | st.sampled_from([0, 1, N - 1])


def obfuscator_of(public_key: PaillierPublicKey, r: int) -> int:
    return pow(r, int(public_key.n), int(public_key.n_squared))


def test_raw_encryption_and_decryption_regression() -> None:
    """In phe: testRawEncryptDecryptRegression0 and testEncryptRegression."""
    public_key = PaillierPublicKey(126869)
    assert public_key.encrypt(10100, obfuscator_of(public_key, 74384)) == 935906717
    assert PaillierPrivateKey(293, 433, public_key).decrypt(935906717) == 10100


def test_raw_encryption_without_randomness() -> None:
    """In phe: testEncryptIsRandom: r = 1 leaves 1 + n, and others do not."""
    public_key = PaillierPublicKey(126869)
    assert public_key.encrypt(1, obfuscator_of(public_key, 1)) == 126870
    drawn = {int(public_key.encrypt(1, obfuscator)) for obfuscator in make_obfuscators(public_key).draw(2)}
    assert len(drawn) == 2
    assert 126870 not in drawn


def test_keys_with_the_primes_exchanged() -> None:
    """In phe: testPrivateKeyEquality: 2537 = 43 * 59, in either order."""
    public_key = PaillierPublicKey(2537)
    first, second = PaillierPrivateKey(43, 59, public_key), PaillierPrivateKey(59, 43, public_key)
    assert first.factors == second.factors
    assert first.to_document() == second.to_document()


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_a_large_plaintext_comes_back(scheme: str) -> None:
    """In phe: testEncryptDecrypt."""
    key = KEYS[scheme]
    data = 123456789123456789123456789123456789
    assert key.decrypt(key.public_key.encrypt(data, make_obfuscators(key.public_key).draw(1)[0])) == data


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_plaintexts_around_the_modulus(scheme: str) -> None:
    """In phe: testModuloN, where n wraps to 0 and n + 1 to 1; ours refuses what does not fit, and sums wrap."""
    key = KEYS[scheme]
    public_key = key.public_key
    obfuscators = make_obfuscators(public_key).draw(3)
    last = public_key.encrypt(N - 1, obfuscators[0])
    assert key.decrypt(last) == N - 1
    assert key.decrypt(public_key.add(last, public_key.encrypt(1, obfuscators[1]))) == 0
    assert key.decrypt(public_key.add(last, public_key.encrypt(2, obfuscators[2]))) == 1
    for plaintext in (N, N + 1):
        with pytest.raises(CryptoError):
            public_key.encrypt(plaintext, obfuscators[0])


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_text_is_no_number(scheme: str) -> None:
    """In phe: testEncryptInvalidType and testDecryptInvalidType."""
    key = KEYS[scheme]
    with pytest.raises(TypeError):
        key.public_key.encrypt("123", 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        key.decrypt("123456789123456789")  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_keys_of_each_length(bits: int) -> None:
    """In phe: testCreateKeypairLengths, from our shortest to what a quick test allows; phe takes each of them."""
    key = generate(bits)
    assert phe.PaillierPublicKey(int(key.public_key.n)) == key.public_key.to_phe()
    assert key.to_phe().raw_decrypt(key.to_phe().public_key.raw_encrypt(5)) == 5


@given(schemes, plaintexts, st.integers(1, N - 1))
def test_phe_s_ciphertexts_are_ours_and_open_with_our_key(scheme: str, plaintext: int, r: int) -> None:
    key = KEYS[scheme]
    theirs = key.public_key.to_phe().raw_encrypt(plaintext, r)
    assert theirs == key.public_key.encrypt(plaintext, obfuscator_of(key.public_key, r))
    assert key.decrypt(theirs) == plaintext


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_our_ciphertexts_open_with_phe_s_key(scheme: str) -> None:
    key = KEYS[scheme]
    their_key = phe.PaillierPrivateKey(phe.PaillierPublicKey(N), *map(int, key.factors))
    assert key.to_phe() == their_key
    for source in (make_obfuscators(key.public_key), CrtObfuscators(key)):
        for plaintext, obfuscator in zip((0, 1, N - 1, N // 3), source.draw(4), strict=True):
            assert their_key.raw_decrypt(int(key.public_key.encrypt(plaintext, obfuscator))) == plaintext


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_phe_s_numbers_are_opened_by_our_key(scheme: str) -> None:
    """Whole numbers as phe encodes them: themselves, and n less the size of negative ones."""
    key = KEYS[scheme]
    number = key.public_key.to_phe().encrypt(-42) + 2
    assert key.decrypt(number.ciphertext()) == N - 40


def test_keys_go_to_phe_and_come_back() -> None:
    for key in KEYS.values():
        back = PaillierPrivateKey.from_phe(key.to_phe())
        assert back.factors == key.factors
        assert back.public_key == textbook_key(256).public_key
        assert isinstance(key.to_phe().p, int)
        assert not isinstance(key.to_phe().p, type(mpz()))


def test_phe_s_keys_come_to_us() -> None:
    _, theirs = phe.generate_paillier_keypair(n_length=512)
    ours = PaillierPrivateKey.from_phe(theirs)
    number = theirs.public_key.encrypt(1234)
    assert ours.decrypt(number.ciphertext()) == 1234
    assert theirs.raw_decrypt(int(ours.public_key.encrypt(99, CrtObfuscators(ours).draw(1)[0]))) == 99
    broken = phe.PaillierPrivateKey(phe.PaillierPublicKey(15 * 77), 15, 77)
    with pytest.raises(CryptoError, match="cannot be used"):
        PaillierPrivateKey.from_phe(broken)


def test_a_shared_out_key_opens_phe_s_ciphertexts() -> None:
    p, q = SAFE_PRIMES[256]
    public_key, shares = share_key(p, q, 3, 2)
    theirs = [mpz(public_key.to_phe().raw_encrypt(plaintext)) for plaintext in (0, 7, p * q - 1)]
    partials = {share.x: share.partial_decrypt_many(theirs) for share in shares[:2]}
    assert combine(public_key, 3, 2, partials) == [0, 7, p * q - 1]
