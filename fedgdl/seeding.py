"""Independent streams of random numbers for simulation, named by what they are for.

A stream is a pure function of (seed, purpose, round, client): it does not depend on the
order in which clients train, on the number of workers, or on who else was sampled. That is
why any engine with any number of workers gives the same bits.

Not for keys or masks: cryptographic randomness comes from `secrets` and is never seeded.

Example:
    >>> from fedgdl.seeding import stream
    >>> a = stream(12345, "shuffle", round_index=1, client_id="bob").integers(1_000_000)
    >>> b = stream(12345, "shuffle", round_index=1, client_id="bob").integers(1_000_000)
    >>> c = stream(12345, "shuffle", round_index=2, client_id="bob").integers(1_000_000)
    >>> (a == b, a == c)
    (np.True_, np.False_)
"""

import hashlib
import json

import numpy as np

__all__ = ["stream"]


def stream(seed: int, purpose: str, *, round_index: int = 0, client_id: str = "") -> np.random.Generator:
    """Returns the random generator that belongs to one purpose, round and client.

    Args:
        seed: the experiment's root seed, any integer.
        purpose: what the numbers are for, e.g. `"cohort"`, `"shuffle"`, `"initialise"`.
        round_index: the round, counted from 1; 0 outside the rounds.
        client_id: the client; empty for the coordinator's own draws.

    Returns:
        A fresh `numpy.random.Generator` over Philox4x64-10. Its 128-bit key is the BLAKE2b
        digest of the four arguments, written unambiguously as JSON.

    Source:
        Counter-based generators keyed by purpose: Salmon, Moraes, Dror, Shaw, "Parallel Random
        Numbers: As Easy as 1, 2, 3", SC 2011, section 2 (Philox).
    """
    name = json.dumps([int(seed), purpose, int(round_index), client_id], ensure_ascii=True).encode()
    key = int.from_bytes(hashlib.blake2b(name, digest_size=16, person=b"fedgdl-stream").digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))
