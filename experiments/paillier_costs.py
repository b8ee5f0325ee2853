"""How long the arithmetic of encryption takes on this machine: measured on the spot, some hundredths of a second each.

No key is needed: a random odd modulus is as slow.

    product          of two numbers modulo n^2: an addition of plaintexts
    entry            of the table of powers modulo n^2: made once
    row              of that table: its share of an obfuscator, one byte of the exponent
    obfuscator       what is left of one when its rows are multiplied
    power bit        of the exponent of a power modulo n^2, many powers at once
    test bit         of the exponent of a single power modulo a number of half the key's length, a candidate for a prime

and the same at half size for whoever knows the factors p and q: modulo n, p^2 and q^2 instead of n^2.

Not here: how often each is done (`experiments.paillier_estimate`), and measurements that are meant to be exact
(`fedgdl bench paillier`).

Example:
    >>> 0 < measure("product", key_bits=256) < 0.001
    True
"""

import functools
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

__all__ = ["Operation", "cost_here", "measure"]

Operation: TypeAlias = Literal[
    "product",
    "half product",
    "entry",
    "half entry",
    "row",
    "half row",
    "obfuscator",
    "half obfuscator",
    "power bit",
    "half power bit",
    "lane power bit",
    "half lane power bit",
    "test bit",
]

_WINDOW_BITS: Final = 8
_MEASURED_SECONDS: Final = 0.02
"""How long an operation is measured."""

_MEASURED_EXPONENT_BITS: Final = 512
_MEASURED_POWERS: Final = 16
"""So many at once, as they are computed when a sum is opened."""

_MEASURED_ROWS: Final = (2, 6)
"""Of two small tables: the difference is what rows cost."""


@functools.cache
def cost_here(operation: Operation, key_bits: int) -> float:
    """Returns the CPU seconds of an operation on this machine, measured when it is first asked for."""
    return measure(operation, key_bits)


def measure(operation: Operation, key_bits: int, *, clock: Callable[[], float] = time.process_time) -> float:
    """Returns the CPU seconds of an operation on this machine; a larger measurement takes a tenth of one.

    Args:
        operation: what is measured.
        key_bits: of the modulus n.
        clock: CPU seconds.
    """
    root_bits = key_bits // 2 if operation.startswith("half") else key_bits
    modulus_bits = 2 * root_bits
    match operation.removeprefix("half "):
        case "product":
            return _product_seconds(modulus_bits, clock)
        case "power bit":
            return _power_seconds(modulus_bits, _MEASURED_POWERS, clock)
        case "lane power bit":
            return _lane_power_seconds(modulus_bits, clock)
        case "test bit":
            return _power_seconds(key_bits // 2, 1, clock)
        case part:
            return _table_seconds(root_bits, clock)[part]


def _odd(num_bits: int) -> Any:  # noqa: ANN401 (gmpy2 has no types)
    """Returns a random odd number of exactly so many bits."""
    import gmpy2  # lazily: for those runs alone that encrypt

    return gmpy2.mpz(secrets.randbits(num_bits) | 1 << (num_bits - 1) | 1)


def _per_call(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Returns the seconds of a call, the mean of as many as fit into the time for measuring, one at least."""
    began, num_calls = clock(), 0
    while True:
        call()
        num_calls += 1
        elapsed = clock() - began
        if elapsed >= _MEASURED_SECONDS:
            return elapsed / num_calls


def _product_seconds(modulus_bits: int, clock: Callable[[], float]) -> float:
    modulus = _odd(modulus_bits)
    factors = [_odd(modulus_bits) % modulus for _ in range(64)]

    def multiply() -> None:
        product = modulus - 1
        for factor in factors:
            product = product * factor % modulus

    return _per_call(multiply, clock) / len(factors)


def _power_seconds(modulus_bits: int, count: int, clock: Callable[[], float]) -> float:
    """Returns the seconds of each bit of an exponent, so many powers being computed at once."""
    import gmpy2

    modulus, exponent = _odd(modulus_bits), _odd(_MEASURED_EXPONENT_BITS)
    bases = [_odd(modulus_bits) % modulus for _ in range(count)]
    seconds = _per_call(lambda: gmpy2.powmod_base_list(bases, exponent, modulus), clock)
    return seconds / count / _MEASURED_EXPONENT_BITS


def _lane_power_seconds(modulus_bits: int, clock: Callable[[], float]) -> float:
    """Returns the same where several powers are computed side by side."""
    from fedgdl.crypto.paillier.lanes import LaneModulus

    modulus, exponent = _odd(modulus_bits), _odd(_MEASURED_EXPONENT_BITS)
    bases = [_odd(modulus_bits) % modulus for _ in range(_MEASURED_POWERS)]
    lanes = LaneModulus(modulus)
    seconds = _per_call(lambda: lanes.powers(bases, exponent), clock)
    return seconds / _MEASURED_POWERS / _MEASURED_EXPONENT_BITS


@functools.cache
def _table_seconds(root_bits: int, clock: Callable[[], float]) -> Mapping[str, float]:
    """Returns the seconds of an entry and of a row of a table modulo the square of a root, and of an obfuscator."""
    import numpy as np

    from fedgdl.crypto.paillier.power_table import PowerTable

    root, base = _odd(root_bits), 1 << (root_bits - 1)  # which has an inverse
    entry, seconds = 0.0, list[float]()
    for num_rows in _MEASURED_ROWS:
        began = clock()
        table = PowerTable(root, base, _WINDOW_BITS, num_rows)
        entry = (clock() - began) / num_rows / 2**_WINDOW_BITS
        digits = np.frombuffer(secrets.token_bytes(64 * num_rows), np.uint8).reshape(num_rows, 64)
        seconds.append(_per_call(functools.partial(table.powers, digits), clock) / 64)
    fewer, more = _MEASURED_ROWS
    row = max(0.0, (seconds[1] - seconds[0]) / (more - fewer))
    return {"entry": entry, "row": row, "obfuscator": max(0.0, seconds[0] - fewer * row)}
