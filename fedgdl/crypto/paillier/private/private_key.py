"""A Paillier private key: the two primes of a modulus, and what they decrypt.

The decryption of c takes its (p - 1)-th power modulo p^2, in which the obfuscator is gone and the plaintext modulo p
stands at the multiples of p, the same modulo q^2, and puts the two together.

Not here: whether a ciphertext may be decrypted at all, which whoever holds a key has to decide; how keys are made
(`generation`) and kept (`key_files`).

Threat model: others send ciphertexts of their choice and see some plaintexts. What is no unit modulo n^2 ends in one
    error that says no more than that. A result is given out only after it was put back into both powers and gave
    them again: a plaintext that is right modulo one prime and wrong modulo the other would give the factors away to
    anyone who knows the right one. A power that was computed wrong is no power of the wanted form, but for one chance
    in p, and is found by the same comparison.

Not protected against: whoever may have any ciphertext decrypted reads any other as well, as ciphertexts can be added.
    A fault that puts another ciphertext in the place of the given one before its powers are computed. Not constant
    time: who measures how long decryptions take learns something of the primes. Secrets left in memory, which Python
    cannot wipe.

Example:
    >>> key = PaillierPrivateKey(293, 433, PaillierPublicKey(293 * 433))
    >>> ciphertext = key.public_key.encrypt(10100, pow(74384, 293 * 433, (293 * 433) ** 2))
    >>> key.decrypt(ciphertext)
    mpz(10100)
    >>> repr(key) == f"PaillierPrivateKey({key.public_key!r})"
    True

Source:
    Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", EUROCRYPT 1999, section 7.
    Boneh, DeMillo, Lipton, "On the Importance of Checking Cryptographic Protocols for Faults", EUROCRYPT 1997.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, NoReturn

import gmpy2
from gmpy2 import mpz

from fedgdl.crypto.paillier.private.chunks import collect, each_chunk
from fedgdl.crypto.paillier.private.documents import decode_document, encode_document
from fedgdl.crypto.paillier.private.powers import power_function
from fedgdl.crypto.paillier.private.primes import are_far_apart, is_prime
from fedgdl.crypto.paillier.public_key import PaillierPublicKey
from fedgdl.errors import CryptoError

__all__ = ["PaillierPrivateKey"]

_FORMAT: Final = "fedgdl paillier private key"
_NO_KEY: Final = "the Paillier private key cannot be used"
_UNUSABLE: Final = "the ciphertexts cannot be used"


class PaillierPrivateKey:
    """The primes of a Paillier modulus.

    Two keys are equal only when they are the same object; their public keys can be compared. The primes are in no
    `repr`, and a key refuses to be pickled or copied: `to_document` is the one way out.

    Args:
        p, q: the primes, in either order.
        public_key: that of their product.

    Raises:
        CryptoError: these are no two primes, do not fit the public key, or are too near to each other.
    """

    __slots__ = ("_p", "_p_inverse", "_p_squared", "_q", "_q_squared", "_scale_p", "_scale_q", "public_key")

    def __init__(self, p: int, q: int, public_key: PaillierPublicKey) -> None:
        p, q = mpz(min(p, q)), mpz(max(p, q))
        if not _fit(p, q, public_key):
            raise CryptoError(_NO_KEY)
        self.public_key = public_key
        self._p, self._q = p, q
        self._p_squared, self._q_squared = p * p, q * q
        self._p_inverse = gmpy2.invert(p, q)
        self._scale_p, self._scale_q = gmpy2.invert(-q, p), gmpy2.invert(-p, q)

    @property
    def factors(self) -> tuple[mpz, mpz]:
        """The primes, the smaller one first: who has them has the key."""
        return self._p, self._q

    def decrypt(self, ciphertext: int) -> mpz:
        """Returns the plaintext of a ciphertext, from 0 to below n.

        Raises:
            CryptoError: it is no ciphertext of this key's.
        """
        return self.decrypt_many([ciphertext])[0]

    def decrypt_many(
        self,
        ciphertexts: Sequence[int],
        num_threads: int = 1,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[mpz]:
        """Returns the plaintexts of ciphertexts, each from 0 to below n.

        Args:
            ciphertexts: as many as there are.
            num_threads: how many compute at the same time.
            on_progress: called with the number of those done, and of all, several times a second.

        Raises:
            CryptoError: one is no ciphertext of this key's; then no plaintext is given out.
        """
        return collect(self.decrypt_in_chunks(ciphertexts, num_threads), len(ciphertexts), on_progress)

    def decrypt_in_chunks(self, ciphertexts: Sequence[int], num_threads: int = 1) -> Generator[list[mpz], None, None]:
        """Yields the same, some plaintexts at a time, for those who have other things to do in between.

        Raises:
            CryptoError: as above, but what has been yielded by then is out.
        """
        if any(not 0 < ciphertext < self.public_key.n_squared for ciphertext in ciphertexts):
            raise CryptoError(_UNUSABLE)
        numbers = list(map(mpz, ciphertexts))
        power_p = power_function(self._p - 1, self._p_squared, len(numbers))
        power_q = power_function(self._q - 1, self._q_squared, len(numbers))

        def decrypt_chunk(chunk: Sequence[mpz]) -> list[mpz]:
            return list(map(self._plaintext, power_p(chunk), power_q(chunk)))

        yield from each_chunk(decrypt_chunk, numbers, num_threads)

    def _plaintext(self, power_p: mpz, power_q: mpz) -> mpz:
        """Returns m from c^(p-1) modulo p^2, which is 1 - m q p, and from c^(q-1) modulo q^2, likewise.

        Raises:
            CryptoError: m would not give the powers again: c is a multiple of p or q, or something went wrong.
        """
        p, q = self._p, self._q
        m_p = power_p // p * self._scale_p % p
        m_q = power_q // q * self._scale_q % q
        m = m_p + p * ((m_q - m_p) * self._p_inverse % q)
        if power_p != 1 + p * (-q * m % p) or power_q != 1 + q * (-p * m % q):
            raise CryptoError(_UNUSABLE)
        return m

    def to_document(self) -> bytes:
        """Returns the whole key as a document: JSON, one spelling for each key. It is the secret itself."""
        return encode_document(_FORMAT, {"p": int(self._p), "q": int(self._q), "hs": _int(self.public_key.hs)})

    @classmethod
    def from_document(cls, data: bytes) -> "PaillierPrivateKey":
        """Returns the key of a document that `to_document` wrote.

        Raises:
            CryptoError: it is none, or was changed in any way.
        """
        numbers = decode_document(_FORMAT, data, ("p", "q", "hs"))
        if numbers is None or numbers["p"] is None or numbers["q"] is None or numbers["p"] > numbers["q"]:
            raise CryptoError(_NO_KEY)
        public_key = PaillierPublicKey(numbers["p"] * numbers["q"], numbers["hs"])
        return cls(numbers["p"], numbers["q"], public_key)

    def to_phe(self) -> Any:  # noqa: ANN401 - phe ships no types
        """Returns the key as `phe.PaillierPrivateKey`, which decrypts the ciphertexts of both schemes."""
        import phe

        return phe.PaillierPrivateKey(self.public_key.to_phe(), int(self._p), int(self._q))

    @classmethod
    def from_phe(cls, key: Any) -> "PaillierPrivateKey":  # noqa: ANN401
        """Returns a `phe.PaillierPrivateKey` as the key of a textbook public key.

        Raises:
            CryptoError: its primes cannot be used.
        """
        return cls(key.p, key.q, PaillierPublicKey.from_phe(key.public_key))

    def __repr__(self) -> str:
        """Returns the public key alone."""
        return f"PaillierPrivateKey({self.public_key!r})"

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy a private key.

        Raises:
            TypeError: always.
        """
        message = "a private key stays in the process that holds it; it cannot be pickled or copied"
        raise TypeError(message)


def _fit(p: mpz, q: mpz, public_key: PaillierPublicKey) -> bool:
    """Returns whether p < q are the primes of a public key, and nothing is wrong with them."""
    n, hs = public_key.n, public_key.hs
    return bool(
        2 < p < q
        and p * q == n
        and are_far_apart(p, q)
        and gmpy2.gcd(n, (p - 1) * (q - 1)) == 1
        and is_prime(p)
        and is_prime(q)
        and (hs is None or _generates(hs, p, q))
    )


def _generates(hs: mpz, p: mpz, q: mpz) -> bool:
    """Returns whether hs is h^n modulo n^2 for an h = -x^2: an n-th power, and a square modulo neither prime.

    That it is -1 modulo neither prime has been checked of the public key.

    Source:
        Damgård, Jurik, Nielsen 2010: n is a Blum number, p = q = 3 modulo 4, with gcd(p - 1, q - 1) = 2.
    """
    return bool(
        p % 4 == q % 4 == 3
        and gmpy2.gcd(p - 1, q - 1) == 2
        and gmpy2.powmod(hs, p - 1, p * p) == gmpy2.powmod(hs, q - 1, q * q) == 1
        and gmpy2.legendre(hs, p) == gmpy2.legendre(hs, q) == -1
    )


def _int(number: mpz | None) -> int | None:
    return None if number is None else int(number)
