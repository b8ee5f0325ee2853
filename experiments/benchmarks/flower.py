"""What Flower's own functions for SecAgg+ take for the same work, where `flwr` is installed.

Its functions are called in the order of its client modification and its server workflow, without the messages around
them. What would take minutes is put together from measured parts, and says so.

Not here: an opinion on what its masks hide; fedgdl's side (`secagg`).

Source:
    Flower 1.41.0: flwr.client.mod.secure_aggregation.secaggplus_mod and
    flwr.server.workflow.secure_aggregation.secaggplus_workflow.

Example:
    >>> flower = load_flower()
    >>> flower is None or len(flower.version.split(".")) >= 2
    True
"""

import importlib
import importlib.metadata
import secrets
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.measure import take_turns
from fedgdl.errors import RunFailed

__all__ = ["Flower", "load_flower"]

_FUNCTIONS: Final = {
    "flwr.common.secure_aggregation.crypto.shamir": ("create_shares", "combine_shares"),
    "flwr.common.secure_aggregation.crypto.symmetric_encryption": ("generate_shared_key", "encrypt", "decrypt"),
    "flwr.common.secure_aggregation.ndarrays_arithmetic": (
        "factor_combine",
        "parameters_addition",
        "parameters_mod",
        "parameters_multiply",
        "parameters_subtraction",
    ),
    "flwr.common.secure_aggregation.quantization": ("quantize",),
    "flwr.common.secure_aggregation.secaggplus_utils": ("pseudo_rand_gen", "share_keys_plaintext_concat"),
    "flwr.supercore.primitives.asymmetric": (
        "bytes_to_private_key",
        "bytes_to_public_key",
        "generate_key_pairs",
        "private_key_to_bytes",
        "public_key_to_bytes",
    ),
}
_RING: Final = 2**32
_CLIP: Final = 8.0
_NUM_LEVELS: Final = 2**22
"""Its workflow's defaults: ring, clipping range, quantisation range."""

Step = Callable[[int], object]


def load_flower() -> "Flower | None":
    """Returns Flower's functions; none where it is not installed, or has no such functions in these places."""
    found: dict[str, Callable[..., Any]] = {}
    try:
        version = importlib.metadata.version("flwr")
        for module_name, names in _FUNCTIONS.items():
            module = importlib.import_module(module_name)
            found |= {name: getattr(module, name) for name in names}
    except (ImportError, AttributeError):
        return None
    return Flower(version, found)


class Flower:
    """Steps made of Flower's functions, for timing.

    Args:
        version: Flower's.
        functions: its functions by name.

    Attributes:
        version: as given.
    """

    def __init__(self, version: str, functions: dict[str, Callable[..., Any]]) -> None:
        self.version = version
        self._call = functions
        self._check()

    def masking(self, num_neighbours: int, size: int) -> Step:
        """Returns a client's masking: two key agreements with each neighbour, its own mask, one for each neighbour."""
        call, own_seed = self._call, secrets.token_bytes(32)
        (channel_key, _), (mask_key, _) = self._keys(), self._keys()
        peers = [(self._keys()[1], self._keys()[1]) for _ in range(num_neighbours)]
        shapes = [(1,), (size,)]
        vector = [np.zeros(shape, np.int64) for shape in shapes]

        def step(_index: int) -> object:
            for channel_public, _ in peers:
                self._agree(channel_key, channel_public)
            masked = call["parameters_addition"](vector, call["pseudo_rand_gen"](own_seed, _RING, shapes))
            for place, (_, mask_public) in enumerate(peers):
                seed = self._agree(mask_key, mask_public)
                combine = call["parameters_addition" if place % 2 else "parameters_subtraction"]
                masked = combine(masked, call["pseudo_rand_gen"](seed, _RING, shapes))
            return call["parameters_mod"](masked, _RING)

        return step

    def sharing(self, num_neighbours: int, threshold: int) -> Step:
        """Returns the rest of a client's work before unmasking: its keys; its shares sealed, those of others opened."""
        call, num_holders = self._call, num_neighbours + 1
        channel = self._agree(self._keys()[0], self._keys()[1])

        def step(_index: int) -> object:
            private, _ = self._keys()
            self._keys()
            own_masks = call["create_shares"](secrets.token_bytes(32), threshold, num_holders)
            mask_keys = call["create_shares"](private, threshold, num_holders)
            opened = b""
            for holder, (own_mask, mask_key) in enumerate(zip(own_masks[1:], mask_keys[1:], strict=True)):
                text = call["share_keys_plaintext_concat"](1, holder, own_mask, mask_key)
                opened = call["decrypt"](channel, call["encrypt"](channel, text))  # as many come as go
            return opened

        return step

    def encoding(self, delta: npt.NDArray[np.float32]) -> Step:
        """Returns a client's quantisation, and the bytes of its vector as they are sent."""
        call = self._call

        def step(_index: int) -> object:
            weighted = call["parameters_multiply"]([delta], 0.6)
            levels = call["factor_combine"](1, call["quantize"](weighted, _CLIP, _NUM_LEVELS))
            return [array.astype(np.int64).tobytes() for array in levels]  # masked, each is an int64

        return step

    def mask(self, size: int) -> Step:
        """Returns one mask, generated and added."""
        call, seed, vector = self._call, secrets.token_bytes(32), [np.zeros(size, np.int64)]
        return lambda _index: call["parameters_addition"](vector, call["pseudo_rand_gen"](seed, _RING, [(size,)]))

    def unmasking_seconds(self, num_clients: int, num_lost: int, threshold: int, size: int, repeats: int) -> float:
        """Returns the server's CPU seconds for a complete graph, put together from medians of measured parts.

        Of each survivor its seed from all shares that came and its mask; of each lost client its key likewise, and
        with each survivor an agreement and a mask.
        """
        call, num_survivors = self._call, num_clients - num_lost
        private, _ = self._keys()
        peer = self._keys()[1]
        own_masks = call["create_shares"](secrets.token_bytes(32), threshold, num_clients)[:num_survivors]
        mask_keys = call["create_shares"](private, threshold, num_clients)[:num_survivors]
        steps: dict[str, Step] = {
            "own mask": lambda _index: call["combine_shares"](own_masks),
            "mask key": lambda _index: call["combine_shares"](mask_keys),
            "agreement": lambda _index: self._agree(private, peer),
            "mask": self.mask(size),
        }
        measured = take_turns(steps, repeats, settling=0, clock=time.process_time)
        cost = {name: statistics.median(seconds) for name, seconds in measured.items()}
        of_survivor = cost["own mask"] + cost["mask"]
        of_lost = cost["mask key"] + num_survivors * (cost["agreement"] + cost["mask"])
        return num_survivors * of_survivor + num_lost * of_lost

    def _keys(self) -> tuple[bytes, bytes]:
        """Returns a fresh private and public key."""
        private, public = self._call["generate_key_pairs"]()
        return self._call["private_key_to_bytes"](private), self._call["public_key_to_bytes"](public)

    def _agree(self, private: bytes, public: bytes) -> bytes:
        call = self._call
        agreed: bytes = call["generate_shared_key"](
            call["bytes_to_private_key"](private), call["bytes_to_public_key"](public)
        )
        return agreed

    def _check(self) -> None:
        """Makes sure that the functions do what they are timed for.

        Raises:
            RunFailed: they do not.
        """
        (one_private, one_public), (other_private, other_public) = self._keys(), self._keys()
        secret = secrets.token_bytes(32)
        shares = self._call["create_shares"](secret, 2, 3)
        agreed = self._agree(one_private, other_public)
        if agreed != self._agree(other_private, one_public) or self._call["combine_shares"](shares[1:]) != secret:
            message = f"keys or shares of Flower {self.version} do not work as this benchmark uses them"
            raise RunFailed(message)
