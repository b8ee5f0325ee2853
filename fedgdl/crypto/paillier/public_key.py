"""A Paillier public key: encryption, sums of what is encrypted, and the key as a document.

With g = n + 1 the ciphertext of m is (1 + m n) x modulo n^2, where the obfuscator x is a random n-th power modulo n^2
(`obfuscators`). The product of two ciphertexts is a ciphertext of the sum of their plaintexts modulo n.

A key of scheme `"djn"` carries hs = h^n modulo n^2, the base whose random powers are its obfuscators; one of scheme
`"textbook"` does not, and random numbers are raised to the n-th power.

Not here: who holds the factors of n (`private`), where obfuscators come from (`obfuscators`), and how vectors become
plaintexts (`packing`).

Threat model: who sees ciphertexts and the public key, and can compute no more than others, learns nothing of a
    plaintext, as long as n cannot be factored and n-th powers modulo n^2 cannot be told from other numbers. Choosing
    g = n + 1 assumes nothing more: every g gives the same problem.

Not protected against: who made the key, and can read all that it hides. What is checked of a key finds mistakes, and
    an hs that hides nothing; a maker who wants others to read, too, can choose an n that they can factor or that is a
    prime, or an hs of small order, and that is not seen here: a key is taken from somebody trusted. Changed
    ciphertexts: anybody can add to a plaintext, or multiply it; they are signed where that matters. An obfuscator used
    twice tells the difference of two plaintexts. Not constant time: how long
    the arithmetic takes depends a little on the numbers.

Example:
    >>> key = PaillierPublicKey(n=7 * 11)
    >>> key.scheme, key.num_bits, key.plaintext_bits
    ('textbook', 7, 6)
    >>> total = key.add(key.encrypt(20, obfuscator=2**77 % 77**2), key.encrypt(22, obfuscator=5**77 % 77**2))
    >>> (pow(total, 30, 77**2) - 1) // 77 * pow(30, -1, 77) % 77  # 30 = lcm(7 - 1, 11 - 1)
    mpz(42)

Source:
    Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", EUROCRYPT 1999, section 4.
    Damgård, Jurik, Nielsen, "A Generalization of Paillier's Public-Key System with Applications to Electronic
    Voting", International Journal of Information Security 9(6), 2010: g = n + 1, and hs.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

import gmpy2
from gmpy2 import mpz

from fedgdl.errors import CryptoError

__all__ = ["PaillierPublicKey", "SplitObfuscator"]

SplitObfuscator: TypeAlias = tuple[mpz, mpz]
"""Quotient and remainder of an obfuscator by n."""

_FORMAT: Final = "fedgdl paillier public key"
_VERSION: Final = 1
_MAX_BITS: Final = 16_384
_MAX_DOCUMENT_BYTES: Final = 16_384
_NO_KEY: Final = "the Paillier public key cannot be used"


class PaillierPublicKey:
    """The public half of a Paillier key.

    Args:
        n: the modulus, a product of two odd primes.
        hs: the base of obfuscators, h^n modulo n^2 with h = -x^2; none makes a textbook key.

    Attributes:
        n, n_squared, hs: as `gmpy2.mpz`; hs is none in a textbook key.
        num_bits: of n.
        scheme: `"djn"` with hs, `"textbook"` without.
        key_id: SHA-256 of `to_bytes()`, 64 hexadecimal digits.
        ciphertext_bytes: in which every ciphertext fits.
        plaintext_bits: plaintexts below 2 to this power always fit.

    Raises:
        CryptoError: these cannot be a public key.
    """

    __slots__ = ("_document", "ciphertext_bytes", "hs", "key_id", "n", "n_squared", "num_bits", "plaintext_bits")

    def __init__(self, n: int, hs: int | None = None) -> None:
        self.n = mpz(n)
        self.n_squared = self.n * self.n
        self.hs = None if hs is None else mpz(hs)
        _require_key(self.n, self.n_squared, self.hs)
        self.num_bits: int = self.n.bit_length()
        self.plaintext_bits = self.num_bits - 1
        self.ciphertext_bytes = -(-2 * self.num_bits // 8)
        self._document = _write(self.n, self.hs)
        self.key_id = hashlib.sha256(self._document).hexdigest()

    @property
    def scheme(self) -> Literal["djn", "textbook"]:
        """How obfuscators are made."""
        return "textbook" if self.hs is None else "djn"

    def encrypt(self, plaintext: int, obfuscator: int) -> mpz:
        """Returns the ciphertext (1 + plaintext n) obfuscator modulo n^2.

        Args:
            plaintext: at least 0 and below n.
            obfuscator: an n-th power modulo n^2 that is used for nothing else.

        Raises:
            CryptoError: the plaintext does not fit.
        """
        return self.encrypt_many([plaintext], [self.split(obfuscator)])[0]

    def split(self, obfuscator: int) -> SplitObfuscator:
        """Returns quotient and remainder of an obfuscator by n: what encryption needs of it, half of the work."""
        quotient, remainder = gmpy2.f_divmod(obfuscator, self.n)
        return quotient, remainder

    def join(self, quotient: mpz, remainder: mpz) -> mpz:
        """Returns the obfuscator that was split."""
        return quotient * self.n + remainder

    def encrypt_many(self, plaintexts: Sequence[int], obfuscators: Iterable[SplitObfuscator]) -> list[mpz]:
        """Returns a ciphertext of each plaintext.

        Args:
            plaintexts: each at least 0 and below n.
            obfuscators: as many as plaintexts, split.

        Raises:
            CryptoError: a plaintext does not fit.
        """
        if plaintexts and not (min(plaintexts) >= 0 and max(plaintexts) < self.n):
            message = "a plaintext does not fit the Paillier key"
            raise CryptoError(message)
        # (1 + m n)(q n + r) = (q + m r) n + r modulo n^2: no number here is longer than one modulo n^2.
        n, pairs = self.n, zip(plaintexts, obfuscators, strict=True)
        return [(quotient + plaintext * rest) % n * n + rest for plaintext, (quotient, rest) in pairs]

    def add(self, a: int, b: int) -> mpz:
        """Returns a ciphertext of the sum of two ciphertexts' plaintexts."""
        return mpz(a) * b % self.n_squared

    def to_bytes(self) -> bytes:
        """Returns the key as a document: JSON, one spelling for each key."""
        return self._document

    @classmethod
    def from_bytes(cls, data: bytes) -> "PaillierPublicKey":
        """Returns the key of a document that `to_bytes` wrote.

        Raises:
            CryptoError: it is none, or was changed in any way.
        """
        n, hs = _read(data)
        key = cls(n, hs)
        if key.to_bytes() != data:
            raise CryptoError(_NO_KEY)
        return key

    def to_phe(self) -> Any:  # noqa: ANN401 - phe ships no types
        """Returns the key as `phe.PaillierPublicKey`, which knows no hs."""
        import phe

        return phe.PaillierPublicKey(int(self.n))

    @classmethod
    def from_phe(cls, key: Any) -> "PaillierPublicKey":  # noqa: ANN401
        """Returns a `phe.PaillierPublicKey` as a textbook key.

        Raises:
            CryptoError: its modulus cannot be one.
        """
        return cls(int(key.n))

    def __eq__(self, other: object) -> bool:
        """Returns whether other is the same key, hs included."""
        return self._document == other._document if isinstance(other, PaillierPublicKey) else NotImplemented

    def __hash__(self) -> int:
        """Returns a hash of the key's document."""
        return hash(self._document)

    def __repr__(self) -> str:
        """Returns the key's size, scheme and id."""
        return f"PaillierPublicKey({self.num_bits} bits, {self.scheme}, key_id={self.key_id[:16]}...)"

    def __reduce__(self) -> tuple[type["PaillierPublicKey"], tuple[int, int | None]]:
        """Pickles the key by its numbers, which are checked again."""
        return type(self), (int(self.n), None if self.hs is None else int(self.hs))


def _require_key(n: mpz, n_squared: mpz, hs: mpz | None) -> None:
    fits = n > 0 and 6 <= n.bit_length() <= _MAX_BITS and n % 2 == 1 and not gmpy2.is_power(n)
    if fits and hs is not None:
        # n is a product of two primes that are 3 modulo 4; h = -x^2 has the Jacobi symbol 1, and so has h^n.
        # Of 1 or -1 modulo a prime all powers are; 1 + k n is such a number modulo both, and every power shows k.
        fits = n % 4 == 1 and 1 < hs < n_squared and gmpy2.jacobi(hs, n) == 1 and gmpy2.gcd(hs * hs - 1, n) == 1
    if not fits:
        raise CryptoError(_NO_KEY)


def _write(n: mpz, hs: mpz | None) -> bytes:
    fields = {"format": _FORMAT, "version": _VERSION, "n": f"{n:x}", "hs": None if hs is None else f"{hs:x}"}
    check = hashlib.sha256(_json(fields)).hexdigest()
    return _json({**fields, "sha256": check})


def _read(data: bytes) -> tuple[int, int | None]:
    if len(data) > _MAX_DOCUMENT_BYTES:
        raise CryptoError(_NO_KEY)
    try:
        document = json.loads(data)
        n, hs = int(document["n"], 16), document["hs"]
        return n, None if hs is None else int(hs, 16)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CryptoError(_NO_KEY) from error


def _json(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, separators=(",", ":"), sort_keys=True, ensure_ascii=True) + "\n").encode()
