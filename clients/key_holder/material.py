"""What the workers are given of a key, and where it comes from when clients are to hold it.

In a deployment clients would agree on a key, or get their shares of it from a dealer, once and out of the
coordinator's sight. Here the simulation deals: it makes the key when the run starts and hands it to the workers, each
of which stands for all the clients that it may ever host. The coordinator gets the certificate alone.

Not here: how keys and shares are made (`fedgdl.crypto.paillier.private`), and what clients do with them
(`decryptors.py`).

Threat model: the dealer is honest and forgets. With `key_holder = "clients"` each client has the whole private key, so
    any of them can read whatever ciphertext it sees. With `"threshold"` each has a share, and fewer than `threshold`
    of them can decrypt nothing; nobody has the whole key once it has been dealt out.

Not protected against: whoever can look into the process that deals, or into a worker, which has what all its clients
    have: this is a simulation.

Source:
    Damgård, Jurik, "A Generalisation, a Simplification and Some Applications of Paillier's Probabilistic Public-Key
    System", PKC 2001, section 4.1 (shares of a key, from a dealer).

Example:
    >>> from fedgdl.config import AggregationConfig, TrainingConfig
    >>> aggregation = AggregationConfig(kind="paillier", key_holder="clients", insecure_key_bits=128)
    >>> experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    >>> material = deal_material(experiment, ["alice", "bob", "sue"], Identities(bytes(32)))
    >>> material
    KeyMaterial(the whole key)
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final, NoReturn

from msgspec import Meta, Struct

from clients.key_holder.rules import certify
from fedgdl.config import Experiment
from fedgdl.crypto.masking import Identities
from fedgdl.errors import ConfigError
from fedgdl.wire.messages import ClientId
from fedgdl.wire.paillier import KeyCertificate

__all__ = ["MAX_SHARES", "KeyMaterial", "deal_material", "require_shares", "usual_threshold"]

MAX_SHARES: Final = 200
"""No key is dealt out in more shares: the factorial of their number stands in the exponents of a decryption."""


class KeyMaterial(Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker is given of a key. It is encoded to be handed to worker processes, and goes nowhere else.

    Attributes:
        certificate: of the public key; where the key holder is a process, that of the run's beginning.
        private_key: the whole key's document, where clients hold it; else empty.
        shares: client id -> its share of the key, where those are dealt out; else empty.
    """

    certificate: KeyCertificate
    private_key: bytes = b""
    shares: Annotated[dict[ClientId, bytes], Meta(max_length=MAX_SHARES)] = {}

    def __repr__(self) -> str:
        """Returns what kind of material it is; no secret."""
        return f"KeyMaterial({self._kind()})"

    def __rich_repr__(self) -> Iterator[str]:  # type: ignore[override]  # Rich takes any iterable
        """Yields no more to whatever prints values prettily, a traceback say; any other struct shows all it has."""
        yield self._kind()

    def _kind(self) -> str:
        return "the whole key" if self.private_key else f"{len(self.shares)} shares" if self.shares else "a public key"

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy what may be secret.

        Raises:
            TypeError: always.
        """
        message = "key material is handed to workers by encode_struct; it cannot be pickled or copied"
        raise TypeError(message)

    def __copy__(self) -> NoReturn:
        """Refuses likewise.

        Raises:
            TypeError: always.
        """
        self.__reduce__()


def deal_material(
    experiment: Experiment,
    client_ids: Sequence[str],
    identities: Identities,
    *,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    on_progress: Callable[[int, int], None] | None = None,
) -> KeyMaterial:
    """Returns the key, or shares of it, for an experiment whose clients hold it.

    Args:
        experiment: the configuration, with `cohort_size` settled; a key file that it names is read.
        client_ids: the whole population; in the order of ids, the first has the share at x = 1.
        identities: signs the certificate.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.
        on_progress: see `deal`.

    Raises:
        ConfigError: clients do not hold the key; there are too many for shares, or too few to open a sum.
        CryptoError: the key file cannot be used.
    """
    aggregation, session = experiment.aggregation, random_bytes(16)
    num_bits = aggregation.insecure_key_bits or aggregation.key_bits
    if aggregation.key_holder == "clients":
        from clients.key_holder.decryptors import make_private_key  # lazily: only a dealer holds private keys

        private_key = make_private_key(aggregation, random_bytes=random_bytes)
        certificate = certify(private_key.public_key, identities, session)
        return KeyMaterial(certificate, private_key=private_key.to_document())
    if aggregation.key_holder != "threshold":
        message = f'aggregation.key_holder = "{aggregation.key_holder}": clients do not hold the key'
        raise ConfigError(message)
    from clients.key_holder.decryptors import deal_shares

    holders = sorted(client_ids)
    cohort_size = experiment.cohort_size or len(holders)
    threshold = aggregation.threshold or usual_threshold(len(holders), cohort_size)
    require_shares(len(holders), cohort_size, threshold)
    public_key, shares = deal_shares(
        len(holders), threshold, num_bits, random_bytes=random_bytes, on_progress=on_progress
    )
    certificate = certify(public_key, identities, session, len(holders), threshold)
    return KeyMaterial(certificate, shares=dict(zip(holders, shares, strict=True)))


def usual_threshold(num_shares: int, cohort_size: int) -> int:
    """Returns how many clients open a sum where the configuration does not say: more than half.

    Of all clients, where a cohort has so many: any two groups of openers have a client in common then, which opens one
    sum a round, so that even a coordinator that lies gets no second one. Where cohorts are smaller no threshold gives
    that, and more than half of a cohort have to do.

    Args:
        num_shares: clients of the whole population; any of them may be told that it is in the cohort.
        cohort_size: clients of a cohort.
    """
    of_all = num_shares // 2 + 1
    return max(2, of_all if of_all <= cohort_size else cohort_size // 2 + 1)


def require_shares(num_shares: int, cohort_size: int, threshold: int) -> None:
    """Refuses a population that a key cannot be dealt out to, and a threshold that no cohort reaches.

    Args:
        num_shares: clients of the whole population.
        cohort_size: clients of a cohort.
        threshold: how many clients open a sum.

    Raises:
        ConfigError: says what would do.
    """
    if num_shares > MAX_SHARES:
        message = (
            f'aggregation.key_holder = "threshold" deals the key out to all {num_shares:,} clients, and {MAX_SHARES} '
            'are the most: take key_holder = "process"'
        )
        raise ConfigError(message)
    if threshold > min(cohort_size, num_shares):
        message = (
            f"aggregation.threshold = {threshold} clients can never open a sum together: a cohort has "
            f"{min(cohort_size, num_shares)}"
        )
        raise ConfigError(message)
