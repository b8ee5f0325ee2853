"""Short Paillier keys with fixed primes, opened by the textbook's formula: an oracle that shares no code with ours."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import gmpy2
from gmpy2 import mpz
from paillier_keys import BLUM_PRIMES

from fedgdl.crypto.paillier import PaillierPublicKey

_PRIMES = {21: (1019, 1187), **BLUM_PRIMES}
_ROOT_OF_MINUS_H = 5


@dataclass(frozen=True)
class SmallKey:
    """A key and its factors."""

    public_key: PaillierPublicKey
    p: int
    q: int

    def open(self, ciphertext: int) -> int:
        """Returns the plaintext: L(c^lambda) / lambda modulo n, with L(x) = (x - 1) / n, in Python's own integers."""
        n, secret = self.p * self.q, (self.p - 1) * (self.q - 1)
        return (pow(int(ciphertext), secret, n * n) - 1) // n * pow(secret, -1, n) % n

    def open_all(self, ciphertexts: Iterable[int]) -> list[int]:
        """Returns the plaintexts."""
        return [self.open(ciphertext) for ciphertext in ciphertexts]


@cache
def small_key(num_bits: int = 128, scheme: str = "djn") -> SmallKey:
    """Returns the key of 21, 128, 256 or 512 bits, always the same."""
    p, q = _PRIMES[num_bits]
    n = p * q
    return SmallKey(PaillierPublicKey(n, pow(-(_ROOT_OF_MINUS_H**2), n, n * n) if scheme == "djn" else None), p, q)


class CountedObfuscators:
    """Hands out 2^n, 3^n, ... modulo n^2, so that one that is left out or comes twice is noticed.

    Args:
        public_key: whose obfuscators they are.
        before_draw: called whenever some are asked for, with their number.
    """

    def __init__(self, public_key: PaillierPublicKey, before_draw: Callable[[int], None] | None = None) -> None:
        self.public_key = public_key
        self._before_draw = before_draw
        self._bases: dict[int, int] = {}

    @property
    def num_drawn(self) -> int:
        return len(self._bases)

    def draw(self, count: int) -> list[mpz]:
        if self._before_draw is not None:
            self._before_draw(count)
        first, key = self.num_drawn + 2, self.public_key
        drawn = [gmpy2.powmod(base, key.n, key.n_squared) for base in range(first, first + count)]
        self._bases.update(zip(drawn, range(first, first + count), strict=True))
        return drawn

    def numbers(self, drawn: Sequence[int]) -> list[int]:
        """Returns the bases of obfuscators that were drawn here, in their order."""
        return [self._bases[obfuscator] for obfuscator in drawn]
