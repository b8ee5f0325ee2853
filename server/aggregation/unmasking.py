"""Taking the masks off a sum: secrets put together from shares, checked, and turned into the masks to remove.

What is opened of each client is one secret: of a survivor the seed of its own mask, of a client that was lost after it
had dealt shares the private key of its masks with others. A wrong share is found where it arrives, by its commitment;
a secret that was dealt wrongly is found here, and its dealer named.

Not here: who is a survivor, and messages (`server.aggregation.secagg`).

Threat model: clients may deal or send wrong shares; the sum is then not opened, never opened wrongly.

Not protected against: a client that ends a round this way; it is named, and what follows is the operator's to decide.

Source:
    Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017
    (unmasking: the server). Bell et al., "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead", CCS 2020.

Example:
    >>> from fedgdl.crypto.masking import split
    >>> shares = split(bytes(32), threshold=2, num_shares=3)
    >>> put_together("bob", "own mask", {1: shares[0], 3: shares[2]}, threshold=2) == bytes(32)
    True
    >>> put_together("bob", "own mask", {1: shares[0]}, threshold=2)
    Traceback (most recent call last):
        ...
    fedgdl.errors.AggregationError: the own mask of 'bob' cannot be opened: 1 share of it came, and 2 are needed
"""

import hmac
from collections.abc import Iterable, Mapping

from fedgdl.crypto.masking import KeyPair, combine, derive_key, transcript
from fedgdl.errors import AggregationError, CryptoError

__all__ = ["open_mask_key", "open_own_mask", "pair_masks", "put_together"]


def put_together(dealer_id: str, secret_name: str, shares: Mapping[int, bytes], threshold: int) -> bytes:
    """Returns the secret that the first `threshold` shares give.

    Always the first ones in the order of holders: dealers with the same holders then need the same weights, which
    are computed once.

    Args:
        dealer_id: whose secret it is.
        secret_name: which one, for messages.
        shares: x -> share.
        threshold: how many are needed.

    Raises:
        AggregationError: there are fewer, or what they give is no secret; names the dealer.
    """
    if len(shares) < threshold:
        came = "1 share of it came" if len(shares) == 1 else f"{len(shares)} shares of it came"
        message = f"the {secret_name} of {dealer_id!r} cannot be opened: {came}, and {threshold} are needed"
        raise AggregationError(message)
    try:
        return combine({x: shares[x] for x in sorted(shares)[:threshold]})
    except CryptoError as error:
        raise _wrong(dealer_id, secret_name) from error


def open_own_mask(
    context: bytes, dealer_id: str, shares: Mapping[int, bytes], threshold: int, commitment: bytes
) -> bytes:
    """Returns the seed of a survivor's own mask.

    Raises:
        AggregationError: as in `put_together`, or it is not what the client has committed to.
    """
    seed = put_together(dealer_id, "own mask", shares, threshold)
    if not hmac.compare_digest(transcript.own_mask_commitment(context, dealer_id, seed), commitment):
        raise _wrong(dealer_id, "own mask")
    return seed


def open_mask_key(dealer_id: str, shares: Mapping[int, bytes], threshold: int, public_key: bytes) -> KeyPair:
    """Returns the key pair of a lost client's masks with others.

    Raises:
        AggregationError: as in `put_together`, or its public half is not what the client advertised.
    """
    pair = KeyPair.from_private_bytes(put_together(dealer_id, "mask key", shares, threshold))
    if not hmac.compare_digest(pair.public_key, public_key):
        raise _wrong(dealer_id, "mask key")
    return pair


def pair_masks(
    context: bytes, roster: bytes, lost_id: str, pair: KeyPair, peers: Iterable[tuple[str, bytes]]
) -> list[tuple[bytes, int]]:
    """Returns the masks that survivors have in common with a lost client, as they are to be added to the sum.

    Args:
        context: of the round.
        roster: the roster's hash.
        lost_id: the client whose own share of these masks is not in the sum.
        pair: its mask keys.
        peers: (client id, public mask key) of its surviving neighbours.

    Returns:
        (seed, sign) of each mask; the sign is the lost client's own, whose addition cancels the survivor's.
    """
    masks = []
    for peer_id, public_key in peers:
        seed = derive_key(pair.agree(public_key), transcript.mask_info(context, roster, lost_id, peer_id))
        masks.append((seed, transcript.mask_sign(lost_id, peer_id)))
    return masks


def _wrong(dealer_id: str, secret_name: str) -> AggregationError:
    return AggregationError(
        f"{dealer_id!r} dealt shares of another {secret_name} than it goes by: the sum stays closed"
    )
