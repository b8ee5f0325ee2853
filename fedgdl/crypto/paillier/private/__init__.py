"""Paillier's cryptosystem, the private half: keys that decrypt, shares of them, and how both are made and kept."""

from fedgdl.crypto.paillier.private.crt_obfuscators import CrtObfuscators
from fedgdl.crypto.paillier.private.dealer import deal, share_key
from fedgdl.crypto.paillier.private.generation import generate, key_from_primes
from fedgdl.crypto.paillier.private.key_files import (
    read_private_key,
    read_public_key,
    write_private_key,
    write_public_key,
)
from fedgdl.crypto.paillier.private.key_share import KeyShare
from fedgdl.crypto.paillier.private.private_key import PaillierPrivateKey

__all__ = [
    "CrtObfuscators",
    "KeyShare",
    "PaillierPrivateKey",
    "deal",
    "generate",
    "key_from_primes",
    "read_private_key",
    "read_public_key",
    "share_key",
    "write_private_key",
    "write_public_key",
]
