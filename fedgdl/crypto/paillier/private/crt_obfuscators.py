"""Obfuscators for whoever knows the primes: the same as everybody's, in less time.

Powers are computed modulo p^2 and q^2, where numbers are half as long, and put together. For a textbook key an
obfuscator modulo p^2 is the p-th power of a random number, as every n-th power is and no others are.

Not here: everybody's (`..obfuscators`), and keeping obfuscators in stock (`..pool`).

Threat model: as `..obfuscators` says. They have the same distribution as those of others, and for a DJN key, from the
    same random bytes, they are the same: who encrypted is not seen in a ciphertext.

Not protected against: as `..obfuscators` says; and primes and tables that tell them stay in memory.

Example:
    >>> from fedgdl.crypto.paillier.private.generation import generate
    >>> key = generate(128)  # far too short: for examples and tests
    >>> obfuscator, = CrtObfuscators(key).draw(1)
    >>> key.decrypt(key.public_key.encrypt(42, obfuscator))
    mpz(42)

Source:
    Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", EUROCRYPT 1999, section 7
    (computing modulo p^2 and q^2). Damgård, Jurik, Nielsen 2010 (hs).
"""

import secrets
from typing import Final, NoReturn

import gmpy2
import numpy as np
from gmpy2 import mpz

from fedgdl.crypto.paillier.power_table import PowerTable
from fedgdl.crypto.paillier.private.chunks import collect, each_chunk
from fedgdl.crypto.paillier.private.draws import RandomBytes, draw_unit
from fedgdl.crypto.paillier.private.powers import power_function
from fedgdl.crypto.paillier.private.private_key import PaillierPrivateKey
from fedgdl.crypto.paillier.public_key import PaillierPublicKey
from fedgdl.errors import CryptoError

__all__ = ["CrtObfuscators"]

_WINDOW_BITS: Final = 8
_CHUNK: Final = 64


class CrtObfuscators:
    """Obfuscators of a key, made with its primes.

    May be used by several threads at once: nothing changes after it is made. It refuses to be pickled or copied.

    Args:
        private_key: of either scheme.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Attributes:
        public_key: the private key's.
    """

    __slots__ = ("_factors", "_num_windows", "_random_bytes", "_tables", "_weight", "public_key")

    def __init__(self, private_key: PaillierPrivateKey, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        self.public_key: PaillierPublicKey = private_key.public_key
        self._factors, self._random_bytes = private_key.factors, random_bytes
        p_squared, q_squared = (factor * factor for factor in self._factors)
        self._weight = p_squared * gmpy2.invert(p_squared, q_squared)
        # As many digits as everybody's exponents have.
        self._num_windows = 2 * -(-self.public_key.num_bits // (4 * _WINDOW_BITS))
        self._tables: tuple[PowerTable, ...] = ()
        hs = self.public_key.hs
        if hs is not None:
            self._tables = tuple(PowerTable(root, hs, _WINDOW_BITS, self._num_windows) for root in self._factors)

    @property
    def num_bytes(self) -> int:
        """Memory that the tables take."""
        return sum(table.num_bytes for table in self._tables)

    def draw(self, count: int) -> list[mpz]:
        """Returns so many fresh obfuscators.

        Raises:
            CryptoError: the random bytes are not random.
        """
        if not self._tables:
            return self._draw_powers(count)
        sizes = (min(_CHUNK, count - done) for done in range(0, count, _CHUNK))
        return [obfuscator for size in sizes for obfuscator in self._draw_from_tables(size)]

    def _draw_from_tables(self, count: int) -> list[mpz]:
        data = self._random_bytes(count * self._num_windows)
        if len(data) != count * self._num_windows:
            message = "the random bytes are not random"
            raise CryptoError(message)
        digits = np.frombuffer(data, np.uint8).reshape(self._num_windows, count)
        return list(map(self._join, *(table.powers(digits) for table in self._tables)))

    def _draw_powers(self, count: int) -> list[mpz]:
        units = [draw_unit(self.public_key.n, self._random_bytes) for _ in range(count)]
        powers = (
            collect(each_chunk(power_function(factor, factor * factor, count), units), count)
            for factor in self._factors
        )
        return list(map(self._join, *powers))

    def _join(self, modulo_p: mpz, modulo_q: mpz) -> mpz:
        """Returns the number modulo n^2 that is these modulo p^2 and q^2."""
        return (modulo_p + (modulo_q - modulo_p) * self._weight) % self.public_key.n_squared

    def __repr__(self) -> str:
        """Returns the public key alone."""
        return f"CrtObfuscators({self.public_key!r})"

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy what the primes can be read from.

        Raises:
            TypeError: always.
        """
        message = "obfuscators made with the primes stay in the process that holds them; no pickles, no copies"
        raise TypeError(message)
