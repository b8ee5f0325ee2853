"""Cryptography for secure aggregation: whole numbers for real ones, and what hides them.

Here are the names of the encoding; `fedgdl.crypto.masking` has those of keys, masks and shares, and
`fedgdl.crypto.paillier` those of keys and ciphertexts that can be added.
"""

from fedgdl.crypto.fixed_point import (
    FixedPoint,
    RingArray,
    Rounding,
    pack,
    require_room,
    ring_dtype,
    unpack,
    wire_bytes,
)

__all__ = [
    "FixedPoint",
    "RingArray",
    "Rounding",
    "pack",
    "require_room",
    "ring_dtype",
    "unpack",
    "wire_bytes",
]
