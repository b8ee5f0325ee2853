"""Short Paillier keys that everybody knows, and random bytes that everybody can foresee: for tests alone."""

import hashlib
from functools import cache
from typing import Final

from fedgdl.crypto.paillier import PaillierPublicKey
from fedgdl.crypto.paillier.private import PaillierPrivateKey, key_from_primes

BLUM_PRIMES: Final = {
    128: (0xF53A66AB776120CB, 0xFBDD20FA12BE625B),
    256: (0xD50A4F73F0801547A078C2C2A7B5A35B, 0xF513A184F094F6145FD382588024579B),
    512: (
        0xD63824A8DCC354E07E92A01302CCFBFE76B472E570B7AD3995508DF2A26584E3,
        0xEC5985187D9C7B97818D6C344C92711D7760AA04BD4C6DE1717C173D3D495D37,
    ),
}
"""Bits of the modulus -> two primes that are 3 modulo 4."""

SAFE_PRIMES: Final = {
    128: (0xFC4003278FAE2BC7, 0xE264DEA99311F64B),
    256: (0xEC06C0EF719462B0237004CEE527EA5F, 0xFD3F56D725307A9EBFA77587BF02231B),
}
"""Bits of the modulus -> two primes whose halves are primes, too."""


class RandomStream:
    """The bytes of SHAKE-256 of a label, one after the other."""

    def __init__(self, label: str) -> None:
        self._hash, self._position = hashlib.shake_256(label.encode()), 0

    def __call__(self, count: int) -> bytes:
        """Returns the next bytes."""
        self._position += count
        return self._hash.digest(self._position)[self._position - count :]


@cache
def djn_key(bits: int = 256) -> PaillierPrivateKey:
    """Returns a key of scheme "djn"."""
    return key_from_primes(*BLUM_PRIMES[bits], random_bytes=RandomStream(f"djn {bits}"))


@cache
def textbook_key(bits: int = 256) -> PaillierPrivateKey:
    """Returns a key of scheme "textbook" with the same primes."""
    p, q = BLUM_PRIMES[bits]
    return PaillierPrivateKey(p, q, PaillierPublicKey(p * q))
