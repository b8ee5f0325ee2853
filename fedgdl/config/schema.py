"""The schema of an experiment: every key, its type, its range and its default.

There is no default anywhere else. Single values are checked where they are declared;
combinations of values are checked in `check_combinations`, in one place.

Example:
    >>> TrainingConfig(learning_rate=0.1).batch_size
    500
"""

import json
import math
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from fedgdl.errors import ConfigError
from fedgdl.parameters import DType

__all__ = [
    "AggregationConfig",
    "DataConfig",
    "EngineConfig",
    "Experiment",
    "FaultConfig",
    "FaultsConfig",
    "ModelConfig",
    "PartitionConfig",
    "StrategyConfig",
    "TrainingConfig",
    "check_combinations",
]

_NAME_IN_WORDS: Final = "a string of letters, digits and _ . @ : + - (no spaces, at most 200)"

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[\w.@:+-]+\Z", description=_NAME_IN_WORDS)]
NameOrNothing = Annotated[str, Meta(max_length=200, pattern=r"^[\w.@:+-]*\Z", description=_NAME_IN_WORDS)]
Share = Annotated[float, Meta(gt=0, le=1)]
LearningRate = Annotated[float, Meta(gt=0, le=1_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=1_000_000)]
"""Up to eleven days: the operating system waits for no more than 2**31 milliseconds at once."""


class PartitionConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How the training examples are split into clients.

    Attributes:
        kind: `"natural"`: the groups that the source itself has (mailbox owners, say);
            `"iid"`: equal random parts; `"shares"`: random parts of stated shares; `"shards"`: the examples
            sorted by label and cut into equal pieces, some of which each client gets at random.
        clients: for `"iid"` and `"shards"` how many, or their names; for `"shares"` their names.
        shares: for `"shares"`, each client's share of the examples; they sum to 1.
        shards_per_client: for `"shards"`, how many pieces a client gets.
        min_examples: clients with fewer training examples than this are left out; for `"natural"` only.
    """

    kind: Literal["natural", "iid", "shares", "shards"] = "natural"
    clients: Count | Annotated[tuple[Name, ...], Meta(min_length=1)] | None = None
    shares: tuple[Share, ...] = ()
    shards_per_client: Count = 2
    min_examples: Count = 1


class DataConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the examples come from and how they are prepared.

    Attributes:
        source: the data set's name; `fedgdl data list` prints them. A task of one's own that brings its data along
            needs none.
        fallback: the data set to use when `source` is not on this machine; none: an error.
        root: a folder to look in before `FEDGDL_DATA` and the user's cache.
        partition: how the examples become clients.
        test_fraction: the share of all examples kept for testing, for sources without a split of their own.
        min_count: words found in fewer training examples than this are left out of the vocabulary.
        max_tokens: only the first so many distinct words of an example are kept; none: all.
        sequence_length: characters or words of an example that is a piece of text in order.
        train_examples: only so many training examples, the first ones, are used; none: all.
        test_examples: likewise for the test examples.
        examples: how many examples a synthetic source generates.
    """

    source: NameOrNothing = ""
    fallback: Name | None = None
    root: str | None = None
    partition: PartitionConfig = PartitionConfig()
    test_fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    min_count: Count = 1
    max_tokens: Count | None = None
    sequence_length: Annotated[int, Meta(ge=2, le=10_000)] = 80
    train_examples: Count | None = None
    test_examples: Count | None = None
    examples: Annotated[int, Meta(ge=10, le=1_000_000)] = 6_000


class ModelConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The sizes of the task's model; what is left out takes the task's own.

    Attributes:
        hidden: units of each hidden layer, first to last.
        embedding_size: the length of the vector of a word or character.
        dropout: the share of hidden values that training sets to zero.
    """

    hidden: Annotated[tuple[Count, ...], Meta(max_length=100)] | None = None
    embedding_size: Count | None = None
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0


class TrainingConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How one client trains in one round.

    Attributes:
        epochs: passes over the client's own examples.
        batch_size: examples a step.
        learning_rate: step size of SGD in the first round.
        learning_rate_decay: each round's step size is the one before times this.
        momentum: of SGD; a client's velocity starts from zero in each round.
        weight_decay: of SGD: this times the parameters is added to the gradient.
        clip_grad_norm: a longer gradient of a step is scaled to this length; none: never.
        loss_reduction: whether a step descends the batch's mean loss or its sum.
        shuffle: whether each epoch visits the examples in a new seeded order, or in file order.
        drop_last: whether a last batch smaller than `batch_size` is skipped.
    """

    learning_rate: LearningRate
    epochs: Count = 1
    batch_size: Count = 500
    loss_reduction: Literal["mean", "sum"] = "mean"
    shuffle: bool = True
    drop_last: bool = False
    learning_rate_decay: Annotated[float, Meta(gt=0, le=1)] = 1.0
    momentum: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    clip_grad_norm: Annotated[float, Meta(gt=0, le=1_000_000_000)] | None = None


class StrategyConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How updates become the next model.

    Attributes:
        kind: the algorithm.
        weighting: whether every client counts the same, or by its number of examples.
        min_updates: a round with fewer updates than this changes nothing and is reported as failed.
    """

    kind: Literal["fedavg"] = "fedavg"
    weighting: Literal["num_examples", "equal"] = "num_examples"
    min_updates: Count = 1


class AggregationConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What the coordinator sees of an update.

    Attributes:
        kind: `"plain"`: everything.
    """

    kind: Literal["plain"] = "plain"


class FaultConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault to inject: what happens to which client in which round.

    Attributes:
        kind: `"kill"` ends the client's worker with SIGKILL; `"nan"` and `"infinity"` spoil one element
            of its update; `"raise"` raises in its training; `"stall"` never answers; `"corrupt"` flips a
            bit of the bytes it sends.
        client: the client's id.
        round: the round, counted from 1.
        when: for `"kill"`, the moment: before it trains, after it has trained, or after its result is sent.
    """

    kind: Literal["kill", "nan", "infinity", "raise", "stall", "corrupt"]
    client: Name
    round: Count
    when: Literal["before_training", "after_training", "after_sending"] = "before_training"


class FaultsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Faults to inject, for demonstrations and tests of what a run survives."""

    events: tuple[FaultConfig, ...] = ()


class EngineConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where clients run.

    Attributes:
        kind: `"processes"`: in long-lived worker processes; `"inline"`: in this one (for debuggers).
        workers: how many worker processes; none: one for each usable core.
        round_deadline_seconds: a client that has not answered by then is left out of the round and its
            worker replaced; none: a round waits as long as its workers live.
    """

    kind: Literal["processes", "inline"] = "processes"
    workers: Annotated[int, Meta(ge=1, le=1024)] | None = None
    round_deadline_seconds: Seconds | None = None


class Experiment(Struct, frozen=True, forbid_unknown_fields=True):
    """One federated experiment, complete: the file, the overrides and the defaults together.

    Attributes:
        name: names the run's folder.
        task: a task of this library, or a user's own as `"module:Name"`.
        training: how one client trains.
        data: where the examples come from.
        model: the sizes of the task's model.
        rounds: how many rounds.
        until_accuracy: the run ends early, after the first evaluated round whose test accuracy is at least
            this; none: all rounds are run.
        evaluate_every: the model is tested after every so many rounds, and after the last.
        seed: the root of every random stream.
        cohort_size: clients sampled a round; none: all of them.
        dtype: the parameters' element type.
        strategy, aggregation, faults, engine: see their classes.
    """

    name: Name
    task: Name
    training: TrainingConfig
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    rounds: Count = 3
    until_accuracy: Share | None = None
    evaluate_every: Count = 1
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 12345
    cohort_size: Count | None = None
    dtype: DType = "float32"
    strategy: StrategyConfig = StrategyConfig()
    aggregation: AggregationConfig = AggregationConfig()
    faults: FaultsConfig = FaultsConfig()
    engine: EngineConfig = EngineConfig()


def check_combinations(experiment: Experiment) -> None:
    """Refuses values that are right by themselves but not together.

    Raises:
        ConfigError: names the keys, their values and what would be right.
    """
    _refuse(
        not experiment.data.source and ":" not in experiment.task,
        f'data.source is missing: the task "{experiment.task}" needs the name of a data set (fedgdl data list)',
    )
    partition = experiment.data.partition
    _check_partition(partition)
    known_clients = len(partition.clients) if isinstance(partition.clients, tuple) else partition.clients
    for key, size in (
        ("cohort_size", experiment.cohort_size),
        ("the number of clients in data.partition", known_clients),
    ):
        _refuse(
            size is not None and experiment.strategy.min_updates > size,
            f"strategy.min_updates = {experiment.strategy.min_updates} can never be met by {key} = {size}",
        )
    _check_faults(experiment)


def _check_partition(partition: PartitionConfig) -> None:
    got = f"got clients = {_as_toml(partition.clients)} and shares = {_as_toml(partition.shares)}"
    _refuse(
        partition.kind == "natural" and (partition.clients is not None or bool(partition.shares)),
        'data.partition.kind = "natural" takes its clients from the source; '
        f'clients and shares go with kind = "iid", "shards" or "shares", {got}',
    )
    _refuse(
        partition.kind in {"iid", "shards"} and (partition.clients is None or bool(partition.shares)),
        f'data.partition.kind = "{partition.kind}" needs clients (a number or names) and no shares, {got}',
    )
    usual = PartitionConfig()
    _refuse(
        partition.kind != "natural" and partition.min_examples != usual.min_examples,
        'data.partition.min_examples goes with data.partition.kind = "natural" only, '
        f'got min_examples = {partition.min_examples} and kind = "{partition.kind}"',
    )
    _refuse(
        partition.kind != "shards" and partition.shards_per_client != usual.shards_per_client,
        'data.partition.shards_per_client goes with data.partition.kind = "shards" only, '
        f'got shards_per_client = {partition.shards_per_client} and kind = "{partition.kind}"',
    )
    names = partition.clients if isinstance(partition.clients, tuple) else ()
    twice = sorted({name for name in names if names.count(name) > 1})
    _refuse(bool(twice), f"data.partition.clients names {', '.join(twice)} more than once")
    if partition.kind == "shares":
        _refuse(
            not names or len(names) != len(partition.shares),
            f'data.partition.kind = "shares" needs as many names in clients as there are shares, {got}',
        )
        total = math.fsum(partition.shares)
        _refuse(
            abs(total - 1) > 1e-9,
            f"data.partition.shares = {_as_toml(partition.shares)} must sum to 1, they sum to {total:.12g}",
        )


def _check_faults(experiment: Experiment) -> None:
    for fault in experiment.faults.events:
        _refuse(
            fault.round > experiment.rounds,
            f"faults.events round = {fault.round} never comes: rounds = {experiment.rounds}",
        )
        _refuse(
            experiment.engine.kind == "inline" and fault.kind in {"kill", "stall"},
            f'faults.events kind = "{fault.kind}" would end or stop this process itself under '
            'engine.kind = "inline"; use engine.kind = "processes"',
        )
        _refuse(
            fault.kind == "stall" and experiment.engine.round_deadline_seconds is None,
            'faults.events kind = "stall" never ends without engine.round_deadline_seconds',
        )
        _refuse(
            fault.kind != "kill" and fault.when != "before_training",
            f'faults.events when = "{fault.when}" goes with kind = "kill" only, got kind = "{fault.kind}"',
        )


def _as_toml(value: int | Sequence[str] | Sequence[float] | None) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _refuse(is_wrong: bool, message: str) -> None:  # noqa: FBT001 (the condition is the whole point)
    if is_wrong:
        raise ConfigError(message)
