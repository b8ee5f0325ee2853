"""Powers of many numbers with one exponent modulo one modulus: what decrypting many ciphertexts consists of.

They are computed eight at a time in the lanes of vector registers, where the processor has them and there are enough to
make it worth (`..lanes`), else one after the other with `gmpy2`; in either case without the interpreter's lock, so that
threads are enough to use all cores.

Not here: what exponent and modulus mean (`private_key`, `key_share`), and long lists (`chunks`).

Example:
    >>> power = power_function(exponent=10, modulus=1001, count=3)
    >>> power([2, 3, 1005])
    [mpz(23), mpz(991), mpz(529)]
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import gmpy2
from gmpy2 import mpz

from fedgdl.crypto.paillier.lanes import LaneModulus, lanes_are_available, worth_lanes

__all__ = ["PowerFunction", "power_function"]

PowerFunction: TypeAlias = Callable[[Sequence[mpz]], list[mpz]]


def power_function(exponent: int, modulus: int, count: int) -> PowerFunction:
    """Returns a function that gives the powers of numbers; several threads may call it at once.

    Args:
        exponent: at least 0.
        modulus: odd.
        count: of how many numbers, in all calls together, powers are wanted.
    """
    exponent, modulus = mpz(exponent), mpz(modulus)
    # About one product in six is no squaring.
    num_products = count * exponent.bit_length() * 6 // 5
    if worth_lanes(modulus.bit_length(), num_products) and lanes_are_available():
        lanes = LaneModulus(modulus)
        return lambda bases: lanes.powers([base % modulus for base in bases], exponent)
    return lambda bases: list(gmpy2.powmod_base_list(list(bases), exponent, modulus))
