"""Values of a configuration that are right by themselves, but not together.

Not here: single values, which are checked where the schema declares them.

Example:
    >>> from fedgdl.config.schema import AggregationConfig
    >>> check_cohort(AggregationConfig("secagg"), 2, "cohort_size = 2")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    fedgdl.errors.ConfigError: a cohort of 2 (cohort_size = 2) is too small for aggregation.min_cohort = 3; set ...
"""

import json
import math
from collections.abc import Sequence
from typing import Final

from fedgdl.config.schema import AggregationConfig, Experiment, PartitionConfig
from fedgdl.errors import ConfigError

__all__ = ["check_cohort", "check_combinations"]

_SECAGG_STAGES: Final = frozenset({"advertise", "share", "consistency", "unmask"})

_HELD_BY_CLIENTS: Final = frozenset({"clients", "threshold"})
"""With these key holders clients decrypt."""


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
        if size is not None:
            check_cohort(experiment.aggregation, size, f"{key} = {size}")
    _refuse(
        experiment.strategy.weighting == "equal" and experiment.aggregation.max_weight not in {None, 1},
        'aggregation.max_weight goes with strategy.weighting = "num_examples" only: with "equal" weights all are 1, '
        f"got max_weight = {experiment.aggregation.max_weight}",
    )
    if experiment.aggregation.kind == "paillier":
        _check_encryption(experiment.aggregation)
    _check_faults(experiment)


def check_cohort(aggregation: AggregationConfig, cohort_size: int, why: str) -> None:
    """Refuses a protected cohort whose sum hides too few clients behind one another, or could never be opened.

    Args:
        aggregation: whether it is protected, and how many clients a cohort must have.
        cohort_size: how many it has.
        why: the key and value that make it so small, for the message.

    Raises:
        ConfigError: says what to set.
    """
    if aggregation.kind == "paillier" and aggregation.threshold is not None:
        _refuse(
            aggregation.threshold > cohort_size,
            f"aggregation.threshold = {aggregation.threshold} clients can never open a sum together: a cohort has "
            f"{cohort_size} ({why})",
        )
    if not aggregation.is_private or cohort_size >= aggregation.min_cohort:
        return
    got = f"a cohort of {cohort_size} ({why}) is too small for aggregation.min_cohort = {aggregation.min_cohort}"
    remedy = f"set aggregation.min_cohort={cohort_size} if you mean it"
    if cohort_size == 1:
        remedy = 'the sum over one client is its own update: aggregation.kind = "plain" takes a single client'
    elif cohort_size == 2:
        remedy += ": with two clients each learns the other's update from the sum"
    message = f"{got}; {remedy}"
    raise ConfigError(message)


def _check_encryption(aggregation: AggregationConfig) -> None:
    """Refuses an encrypted aggregation that would not do what its keys say; those of others are left alone."""
    usual, key_holder = AggregationConfig(), aggregation.key_holder
    _refuse(
        key_holder == "coordinator" and not aggregation.insecure,
        'aggregation.key_holder = "coordinator" needs aggregation.insecure = true: all ciphertexts reach the '
        'coordinator, which could then decrypt each of them; key_holder = "process" keeps the key from it',
    )
    _refuse(
        aggregation.threshold is not None and key_holder != "threshold",
        f'aggregation.threshold = {aggregation.threshold} goes with aggregation.key_holder = "threshold" only, '
        f'got key_holder = "{key_holder}"',
    )
    _refuse(
        aggregation.key_file is not None and key_holder == "threshold",
        'aggregation.key_file does not go with aggregation.key_holder = "threshold": its key is dealt out in shares '
        "when the run starts, and never is in one piece in a file",
    )
    _refuse(
        aggregation.insecure_key_bits is not None and aggregation.key_bits != usual.key_bits,
        f"aggregation.insecure_key_bits = {aggregation.insecure_key_bits} stands instead of key_bits, "
        f"got key_bits = {aggregation.key_bits}, too",
    )
    _refuse(
        aggregation.max_attempts > 1,
        'aggregation.kind = "paillier" tries a round once, since a client sends one update a round, '
        f"got max_attempts = {aggregation.max_attempts}",
    )


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
        _refuse(
            fault.when in _SECAGG_STAGES and experiment.aggregation.kind != "secagg",
            f'faults.events when = "{fault.when}" never comes: it is a stage of aggregation.kind = "secagg", '
            f'got kind = "{experiment.aggregation.kind}"',
        )
        _refuse(
            fault.when == "encrypting" and experiment.aggregation.kind != "paillier",
            f'faults.events when = "encrypting" never comes: nothing is encrypted but under aggregation.kind = '
            f'"paillier", got kind = "{experiment.aggregation.kind}"',
        )
        _refuse(
            fault.when == "decrypt" and not _decrypts(experiment.aggregation),
            'faults.events when = "decrypt" never comes: clients decrypt under aggregation.kind = "paillier" with '
            'key_holder = "clients" or "threshold" only, '
            f'got kind = "{experiment.aggregation.kind}" and key_holder = "{experiment.aggregation.key_holder}"',
        )
        _refuse(
            fault.when == "consistency" and not experiment.aggregation.consistency,
            'faults.events when = "consistency" never comes: aggregation.consistency = false leaves this stage out',
        )


def _decrypts(aggregation: AggregationConfig) -> bool:
    """Whether clients decrypt."""
    return aggregation.kind == "paillier" and aggregation.key_holder in _HELD_BY_CLIENTS


def _as_toml(value: int | Sequence[str] | Sequence[float] | None) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _refuse(is_wrong: bool, message: str) -> None:  # noqa: FBT001 (the condition is the whole point)
    if is_wrong:
        raise ConfigError(message)
