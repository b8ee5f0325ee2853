"""Partial decryptions of many holders of shares, put together to plaintexts: the public side of threshold Paillier.

A dealer shares out the decryption exponent; every holder raises a ciphertext to a power that its share tells; any
`threshold` such powers give the plaintext, and fewer tell nothing. Here is the last step, which needs no secret.

Not here: the dealer and the shares (`private.dealer`, `private.key_share`), and who asks whom for what (`server`).

Threat model: holders do as they should; up to `threshold` - 1 of them put together what they know. A partial
    decryption that is damaged, or made with another share, key or ciphertext, gives no plaintext but an error, as the
    combination is then no power of n + 1.

Not protected against: a holder who lies on purpose. It can add a number of its choice to the plaintext, as anyone can
    who may change a ciphertext: the proofs of correct decryption that the source describes are left out.

Example:
    >>> from fedgdl.crypto.paillier.private import deal
    >>> public_key, shares = deal(num_shares=3, threshold=2, key_bits=128)  # far too short: for examples and tests
    >>> ciphertext = public_key.encrypt(42, obfuscator=public_key.hs)
    >>> partials = {share.x: share.partial_decrypt_many([ciphertext]) for share in shares[1:]}
    >>> combine(public_key, 3, 2, partials)
    [mpz(42)]

Source:
    Damgård, Jurik, "A Generalisation, a Simplification and Some Applications of Paillier's Probabilistic Public-Key
    System", PKC 2001, section 4.1, with s = 1; after Shoup, "Practical Threshold Signatures", EUROCRYPT 2000, and
    Fouque, Poupard, Stern, "Sharing Decryption in the Context of Voting or Lotteries", Financial Cryptography 2000.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import factorial, gcd, lcm, prod
from typing import Final

import gmpy2
from gmpy2 import mpq, mpz

from fedgdl.crypto.paillier.public_key import PaillierPublicKey
from fedgdl.errors import CryptoError

__all__ = ["MAX_SHARES", "combine", "require_threshold"]

MAX_SHARES: Final = 10_000

_NO_PLAINTEXTS: Final = "the partial decryptions give no plaintexts"


def combine(
    public_key: PaillierPublicKey,
    num_shares: int,
    threshold: int,
    partials: Mapping[int, Sequence[mpz]],
) -> list[mpz]:
    """Returns the plaintexts of ciphertexts that enough holders have decrypted partially.

    The weights of the interpolation are fractions. The source multiplies them by the factorial of `num_shares`; here
    they are multiplied by the least number that makes them whole, which keeps the exponents short.

    Args:
        public_key: that the ciphertexts were made with.
        num_shares: how many shares there are.
        threshold: how many of them decrypt.
        partials: x -> what the holder of share x gave, in the same order for all; of more than `threshold` holders
            those with the least x are used.

    Returns:
        For each ciphertext its plaintext, from 0 to below n.

    Raises:
        CryptoError: these are too few, an x is none, the lists differ in length, or what they determine is no
            plaintext.

    Source:
        Damgård, Jurik 2001, section 4.1, "Share combining".
    """
    require_threshold(num_shares, threshold)
    xs = tuple(sorted(partials)[:threshold])
    if len(xs) < threshold or not 1 <= min(partials) <= max(partials) <= num_shares:
        raise CryptoError(_NO_PLAINTEXTS)
    columns = [list(map(mpz, partials[x])) for x in xs]
    if len(set(map(len, columns))) > 1 or not all(_are_units(public_key, column) for column in columns):
        raise CryptoError(_NO_PLAINTEXTS)
    weights, ratio = _weights_at_zero(xs)
    n, n_squared = public_key.n, public_key.n_squared
    multiple = 4 * factorial(num_shares) * ratio.numerator
    if gmpy2.gcd(multiple, n) != 1:  # n has a factor that no dealer would have shared out among so many
        raise CryptoError(_NO_PLAINTEXTS)
    scale = gmpy2.invert(multiple, n) * ratio.denominator
    plaintexts = []
    for combined in _combinations(columns, weights, n_squared):
        power = combined * combined % n_squared
        if power % n != 1:
            raise CryptoError(_NO_PLAINTEXTS)
        plaintexts.append(power // n * scale % n)
    return plaintexts


def require_threshold(num_shares: int, threshold: int) -> None:
    """Checks that so many shares can have such a threshold.

    Raises:
        CryptoError: they cannot.
    """
    if not 1 <= threshold <= num_shares <= MAX_SHARES:
        message = f"{num_shares} shares cannot have the threshold {threshold}"
        raise CryptoError(message)


def _are_units(public_key: PaillierPublicKey, numbers: Sequence[mpz]) -> bool:
    """Returns whether all numbers are from 1 to below n^2 and have an inverse modulo it."""
    n, product = public_key.n, mpz(1)
    for number in numbers:
        if not 0 < number < public_key.n_squared:
            return False
        product = product * number % n
    return bool(gmpy2.gcd(product, n) == 1)


@lru_cache(maxsize=256)
def _weights_at_zero(xs: tuple[int, ...]) -> tuple[tuple[int, ...], mpq]:
    """Returns whole weights without a common divisor, and by what they are the weights of Lagrange's interpolation.

    The sum of weight times value, over the values at xs of a polynomial of lower degree than there are xs, is the
    second result times the polynomial's value at 0.
    """
    fractions = [mpq(prod(x for x in xs if x != at), prod([x - at for x in xs if x != at])) for at in xs]
    multiple = lcm(*(int(fraction.denominator) for fraction in fractions))
    whole = [int(fraction * multiple) for fraction in fractions]
    divisor = gcd(*whole)
    return tuple(weight // divisor for weight in whole), mpq(multiple, divisor)


def _combinations(columns: Sequence[Sequence[mpz]], weights: Sequence[int], modulus: mpz) -> Iterator[mpz]:
    """Yields for each row of the columns the product of its numbers, each to the power of its column's weight."""
    positive = [(column, weight) for column, weight in zip(columns, weights, strict=True) if weight > 0]
    negative = [(column, -weight) for column, weight in zip(columns, weights, strict=True) if weight < 0]
    for row in range(len(columns[0])):
        numerator = _product_of_powers([(column[row], weight) for column, weight in positive], modulus)
        denominator = _product_of_powers([(column[row], weight) for column, weight in negative], modulus)
        yield numerator * gmpy2.invert(denominator, modulus) % modulus


def _product_of_powers(powers: Sequence[tuple[mpz, int]], modulus: mpz) -> mpz:
    """Returns the product of numbers, each to the power of a positive exponent: squarings are done for all at once.

    Source:
        Straus, "Addition Chains of Vectors", American Mathematical Monthly 71, 1964.
    """
    longest = max((exponent.bit_length() for _, exponent in powers), default=0)
    window = min(range(1, 7), key=lambda bits: 2**bits + longest / bits)
    tables = [_first_powers(base, 2**window, modulus) for base, _ in powers]
    product, mask = mpz(1), 2**window - 1
    for shift in reversed(range(0, longest, window)):
        for _ in range(window):
            product = product * product % modulus
        for (_, exponent), table in zip(powers, tables, strict=True):
            digit = exponent >> shift & mask
            if digit:
                product = product * table[digit] % modulus
    return product


def _first_powers(base: mpz, count: int, modulus: mpz) -> list[mpz]:
    powers = [mpz(1), base]
    while len(powers) < count:
        powers.append(powers[-1] * base % modulus)
    return powers
