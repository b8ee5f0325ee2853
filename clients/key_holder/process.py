"""The program of the key holder's process: it makes or reads its key, and serves.

The private key is made in here and never leaves: neither the simulation that starts this process nor the coordinator
has it. `main` is what an engine of processes runs; `make_key_holder` gives the same object to an inline engine, where
nothing is kept from anyone, as in all of an inline run.

Example:
    >>> from fedgdl.config import AggregationConfig, TrainingConfig
    >>> aggregation = AggregationConfig(kind="paillier", max_weight=8, insecure_key_bits=128)
    >>> experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    >>> setup = KeyHolderSetup(experiment, Layout.of({"w": (2,)}), bytes(32), log_level=20)
    >>> make_key_holder(setup)  # doctest: +ELLIPSIS
    KeyHolder(PaillierPublicKey(128 bits, djn, key_id=...), round 0)
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from clients.key_holder.decryptors import make_private_key
from clients.key_holder.key_holder import KeyHolder
from clients.worker_process import serve
from fedgdl.config import Experiment
from fedgdl.crypto.masking import Identities
from fedgdl.federated import make_strategy
from fedgdl.parameters import Layout
from fedgdl.runtime import LogEnd, usable_cores

__all__ = ["KeyHolderSetup", "main", "make_key_holder"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyHolderSetup:
    """What a key holder is started with.

    Attributes:
        experiment: the configuration, with `cohort_size` and `aggregation.max_weight` settled; it is the key holder's
            own word for what it may open.
        layout: the model's.
        identities_secret: what the clients' identities, and its own, are derived from.
        log_level: log records below this level are not made.
    """

    experiment: Experiment
    layout: Layout
    identities_secret: bytes = field(repr=False)
    log_level: int


def main(connection: "Connection[bytes, bytes]", log_end: LogEnd, setup: KeyHolderSetup) -> None:
    """Runs a key holder until the coordinator shuts it down or is gone.

    Args:
        connection: this process's end of its duplex pipe.
        log_end: where its log records go.
        setup: what it is to open sums of.
    """
    serve(connection, log_end, setup.log_level, lambda: _open_key_holder(setup))


def make_key_holder(setup: KeyHolderSetup) -> KeyHolder:
    """Returns a key holder with a key of its own making, or with that of the file that the experiment names.

    Raises:
        ConfigError, CryptoError: the key file or the experiment's numbers cannot be used.
    """
    began, experiment = time.perf_counter(), setup.experiment
    private_key = make_private_key(experiment.aggregation)
    logger.info("the key holder has %r after %.1f s", private_key.public_key, time.perf_counter() - began)
    return KeyHolder(
        experiment,
        make_strategy(experiment.strategy),
        setup.layout,
        private_key,
        Identities(setup.identities_secret),
        num_threads=usable_cores(),
    )


@contextlib.contextmanager
def _open_key_holder(setup: KeyHolderSetup) -> Iterator[KeyHolder]:
    yield make_key_holder(setup)
