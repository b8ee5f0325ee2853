"""What secure aggregation by masking is made of: keys, masks, shares, seals, signatures, and who neighbours whom."""

from fedgdl.crypto.masking.graph import GraphParameters, graph_parameters, neighbourhoods
from fedgdl.crypto.masking.identity import SIGNATURE_BYTES, Identities
from fedgdl.crypto.masking.key_agreement import KEY_BYTES, KeyPair, derive_key, is_canonical
from fedgdl.crypto.masking.mask_stream import MAX_MASK_BYTES, SEED_BYTES, add_masks, mask
from fedgdl.crypto.masking.sealing import SEAL_BYTES, seal, unseal
from fedgdl.crypto.masking.secret_sharing import SECRET_BYTES, SHARE_BYTES, combine, split

__all__ = [
    "KEY_BYTES",
    "MAX_MASK_BYTES",
    "SEAL_BYTES",
    "SECRET_BYTES",
    "SEED_BYTES",
    "SHARE_BYTES",
    "SIGNATURE_BYTES",
    "GraphParameters",
    "Identities",
    "KeyPair",
    "add_masks",
    "combine",
    "derive_key",
    "graph_parameters",
    "is_canonical",
    "mask",
    "neighbourhoods",
    "seal",
    "split",
    "unseal",
]
