"""Where a run's workers live, and whoever holds its key: started in the right order, and ended however the run ends.

The clients' identities are made here, and so is whatever key clients share. They are for workers and key holder alone:
engines hand them on unread, and neither coordinator nor aggregation ever gets them. What deals a key out to clients
(`clients.key_holder.material`) is run by the simulator in the place of a dealer whom all clients trust.

Not here: what happens between these parts (`server.coordinator`, `clients.worker`, `clients.key_holder`).

Example:
    >>> from fedgdl.config import EngineConfig, TrainingConfig
    >>> experiment = Experiment("x", "spam", TrainingConfig(0.1), engine=EngineConfig("inline"))
    >>> with host(experiment, Layout.of({"w": (2,)}), ("ann", "bob")) as hosts:
    ...     hosts.engine.num_workers, hosts.keys
    (1, Keys(opener=None, certificate=None))
"""

import contextlib
import dataclasses
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clients.observer import Observer
from clients.worker import Worker
from clients.worker_process import WorkerSetup
from clients.worker_process import main as worker_main
from fedgdl.config import Experiment
from fedgdl.errors import ConfigError
from fedgdl.federated import Task, find_task, make_strategy, make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.progress import report
from fedgdl.runtime import ParameterSlots, SharedParameters, usable_cores
from server.engines import Engine, InlineEngine, ProcessEngine
from server.recorder import Recorder

if TYPE_CHECKING:
    from fedgdl.wire.paillier import KeyCertificate
    from server.key_holder import RemoteKeyHolder

__all__ = ["Hosts", "Keys", "count_workers", "host", "pickle_task"]


@dataclass(frozen=True, slots=True)
class Keys:
    """What a run's aggregation needs of the key that updates are encrypted with; nothing where none are.

    Attributes:
        opener: the coordinator's end of the key holder, started; none where clients hold the key.
        certificate: of the key, where clients hold it.
        material: what workers are given, encoded.
    """

    opener: "RemoteKeyHolder | None" = None
    certificate: "KeyCertificate | None" = None
    material: bytes | None = field(default=None, repr=False)

    @property
    def key_id(self) -> str | None:
        """SHA-256 of the public key that the first round is encrypted with; none where nothing is."""
        certificate = self.certificate if self.opener is None else self.opener.certificate
        if certificate is None:
            return None
        from fedgdl.crypto.paillier import PaillierPublicKey  # lazily: other runs need no cryptography

        return PaillierPublicKey.from_bytes(certificate.public_key).key_id


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where a run's workers and its key live.

    Attributes:
        engine: runs the workers, not yet started.
        slots: where these read the rounds' parameters.
        keys: whoever holds the key.
    """

    engine: Engine
    slots: ParameterSlots
    keys: Keys

    def close(self, *, is_calm: bool) -> None:
        """Ends workers and key holder; harmless when called again.

        Args:
            is_calm: whether all of them are idle and can be asked to end; if not, they are ended at once.
        """
        with contextlib.ExitStack() as endings:  # the second one runs, too, whatever the first one raises
            if self.keys.opener is not None:
                endings.callback(self.keys.opener.close, is_calm=is_calm)
            self.engine.close(is_calm=is_calm)


def count_workers(experiment: Experiment, num_clients: int) -> int:
    """Returns how many workers a run has: never more than clients in a round.

    Args:
        experiment: the configuration.
        num_clients: of the population.
    """
    if experiment.engine.kind == "inline":
        return 1
    return min(experiment.engine.workers or usable_cores(), experiment.cohort_size or num_clients)


@contextlib.contextmanager
def host(
    experiment: Experiment,
    layout: Layout,
    client_ids: Sequence[str],
    *,
    own_task: Task[Any] | None = None,
    observer: Observer | None = None,
    recorder: Recorder | None = None,
) -> Iterator[Hosts]:
    """Yields a run's hosts: the key holder, where there is one, started and ready, the workers not yet started.

    Args:
        experiment: the configuration; where updates are encoded, with its weights and cohort settled.
        layout: the model's.
        client_ids: the population.
        own_task: a task that the workers are to be sent; none: the one that the configuration names.
        observer: for the workers of a private run; see `clients.worker`.
        recorder: hears of what the key holder says.

    Raises:
        ConfigError: the task cannot be sent to workers, or the key file or the shares of the key are of no use.
        EngineError: the key holder cannot be started.
    """
    identities_secret = secrets.token_bytes(32) if experiment.aggregation.is_private else None
    with contextlib.ExitStack() as parts:
        keys = Keys()
        if experiment.aggregation.kind == "paillier" and identities_secret is not None:
            keys = parts.enter_context(_hold_key(experiment, layout, client_ids, identities_secret, recorder))
        setup = WorkerSetup(
            experiment=experiment,
            pickled_task=None,
            memory_name="",
            log_level=logging.getLogger().getEffectiveLevel(),
            identities_secret=identities_secret,
            observer=observer,
            key_material=keys.material,
            num_workers=count_workers(experiment, len(client_ids)),
        )
        make_engine = _inline_engine if experiment.engine.kind == "inline" else _process_engine
        engine, slots = parts.enter_context(make_engine(setup, own_task, layout))
        yield Hosts(engine, slots, keys)


@contextlib.contextmanager
def _inline_engine(
    setup: WorkerSetup, own_task: Task[Any] | None, layout: Layout
) -> Iterator[tuple[Engine, ParameterSlots]]:
    slots = ParameterSlots(bytearray(ParameterSlots.nbytes(layout)), layout)
    with contextlib.ExitStack() as endings:

        def make_worker() -> Worker:
            task = own_task if own_task is not None else find_task(setup.experiment.task)
            worker = Worker(setup.experiment, task, setup.identities_secret, setup.observer, setup.key_material)
            endings.callback(worker.close)
            worker.attach(slots)
            return worker

        yield InlineEngine(make_worker), slots


@contextlib.contextmanager
def _process_engine(
    setup: WorkerSetup, own_task: Task[Any] | None, layout: Layout
) -> Iterator[tuple[Engine, ParameterSlots]]:
    with SharedParameters(layout) as memory:
        pickled_task = None if own_task is None else pickle_task(own_task)
        setup = dataclasses.replace(setup, pickled_task=pickled_task, memory_name=memory.name)
        engine = ProcessEngine(setup.num_workers, worker_main, setup)
        try:
            yield engine, memory.slots
        finally:
            engine.close(is_calm=False)


@contextlib.contextmanager
def _hold_key(
    experiment: Experiment,
    layout: Layout,
    client_ids: Sequence[str],
    identities_secret: bytes,
    recorder: Recorder | None,
) -> Iterator[Keys]:
    """Yields the key of an encrypted run, made and certified, wherever the configuration wants it."""
    from clients.key_holder.material import KeyMaterial, deal_material  # lazily: other runs need no cryptography
    from fedgdl.crypto.masking import Identities
    from fedgdl.wire import encode_struct

    if experiment.aggregation.key_holder in {"clients", "threshold"}:
        with _reported("making the key") as tell:
            dealt = deal_material(experiment, client_ids, Identities(identities_secret), on_progress=tell)
        yield Keys(certificate=dealt.certificate, material=encode_struct(dealt))
        return
    opener = _start_key_holder(experiment, layout, identities_secret, recorder)
    try:
        yield Keys(opener=opener, material=encode_struct(KeyMaterial(opener.certificate)))
    finally:
        opener.close(is_calm=False)


def _start_key_holder(
    experiment: Experiment, layout: Layout, identities_secret: bytes, recorder: Recorder | None
) -> "RemoteKeyHolder":
    """Returns the coordinator's end of a key holder that is ready.

    Under `key_holder = "coordinator"` it lives in the coordinator's own process, and so it does where workers do, too.
    """
    from clients.key_holder.process import KeyHolderSetup, make_key_holder
    from clients.key_holder.process import main as key_holder_main
    from server.key_holder import RemoteKeyHolder, key_holder_frame_bytes

    log_level = logging.getLogger().getEffectiveLevel()
    setup = KeyHolderSetup(experiment, layout, identities_secret, log_level)
    is_inline = experiment.engine.kind == "inline" or experiment.aggregation.key_holder == "coordinator"
    engine: Engine = (
        InlineEngine(lambda: make_key_holder(setup))
        if is_inline
        else ProcessEngine(1, key_holder_main, setup, name="key-holder")
    )
    opener = RemoteKeyHolder(engine, patience_seconds=experiment.engine.round_deadline_seconds, recorder=recorder)
    encoding = make_update_encoding(experiment, make_strategy(experiment.strategy), layout)
    try:
        with _reported("making the key"):
            opener.start(key_holder_frame_bytes(encoding.num_bytes))
    except BaseException:
        opener.close(is_calm=False)
        raise
    return opener


@contextlib.contextmanager
def _reported(what: str) -> Iterator[Callable[[int, int], None]]:
    """Tells whoever watches that something is being done, and that it is over.

    Yields what to call with the steps done, and those that are expected; there may be more.
    """
    expected = 1

    def tell(num_done: int, num_expected: int) -> None:
        nonlocal expected
        expected = max(1, num_expected)
        report(what, min(num_done, expected - 1), expected)

    report(what, 0, expected)
    yield tell
    report(what, expected, expected)


def pickle_task(task: Task[Any]) -> bytes:
    """Returns a user's task for the workers: classes of a notebook or script go by value, not by name.

    Raises:
        ConfigError: it cannot be pickled.
    """
    import cloudpickle

    try:
        pickled: bytes = cloudpickle.dumps(task)
    except Exception as error:  # whatever an object's own pickling raises
        message = f"the task {type(task).__name__} cannot be sent to worker processes: {error}; try engine.kind=inline"
        raise ConfigError(message) from error
    return pickled
