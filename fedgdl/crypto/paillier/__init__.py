"""Paillier's cryptosystem, the public half: keys, obfuscators, packed vectors, sums of them, shared decryption."""

from fedgdl.crypto.paillier.ciphertexts import CiphertextSum, encrypt_vector, read_ciphertexts, write_ciphertexts
from fedgdl.crypto.paillier.obfuscators import (
    Obfuscators,
    TableObfuscators,
    TextbookObfuscators,
    make_obfuscators,
)
from fedgdl.crypto.paillier.packing import Packing
from fedgdl.crypto.paillier.pool import ObfuscatorPool
from fedgdl.crypto.paillier.public_key import PaillierPublicKey, SplitObfuscator
from fedgdl.crypto.paillier.threshold import combine

__all__ = [
    "CiphertextSum",
    "ObfuscatorPool",
    "Obfuscators",
    "Packing",
    "PaillierPublicKey",
    "SplitObfuscator",
    "TableObfuscators",
    "TextbookObfuscators",
    "combine",
    "encrypt_vector",
    "make_obfuscators",
    "read_ciphertexts",
    "write_ciphertexts",
]
