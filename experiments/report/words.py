"""What a run's table cannot say: what protects it, which updates are missing, where it was interrupted.

Not here: the baselines' notes (`experiments.report.baselines`).

Example:
    >>> rounds_in_words(1.0), rounds_in_words(33.62)
    ('1 round', '33.6 rounds, interpolated between tests')
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final

from fedgdl.runtime import usable_cores

if TYPE_CHECKING:
    from experiments.run_history import RunHistory
    from fedgdl.config import AggregationConfig
    from fedgdl.federated import RoundRecord

__all__ = [
    "estimate_in_words",
    "failures_in_words",
    "interruption_in_words",
    "losses_in_words",
    "protection_in_words",
    "rounds_in_words",
    "stages_in_words",
]

_MAX_REASONS_SHOWN: Final = 10

_MOST_WORKERS_ADVISED: Final = 100
"""To so many clients it is worth giving each a process of its own."""

_STAGES_BEHIND_TRAINING: Final = frozenset({"consistency", "unmask", "decrypt", "stand in"})


def failures_in_words(history: "RunHistory") -> list[str]:
    """Returns a line for each failed round, and each reason for which updates are missing, as long as these are few."""
    failed = [record for record in history.rounds if record.status == "failed" and record.reason]
    lines = [f"round {record.round_index} failed: {record.reason}" for record in failed[:_MAX_REASONS_SHOWN]]
    if len(failed) > _MAX_REASONS_SHOWN:
        lines.append(f"... and {len(failed) - _MAX_REASONS_SHOWN} more failed rounds; see history.jsonl")
    clients: dict[tuple[int, str], list[str]] = {}
    for record in history.rounds:
        for client in record.failures:
            clients.setdefault((record.round_index, client.reason), []).append(client.client_id)
    for (round_index, reason), (client_id, *others) in islice(clients.items(), _MAX_REASONS_SHOWN):
        more = f" ... and {len(others)} more client{'s' * (len(others) > 1)} for the same reason" if others else ""
        lines.append(f"round {round_index}: without {client_id}: {reason}{more}")
    hidden = sum(map(len, islice(clients.values(), _MAX_REASONS_SHOWN, None)))
    if hidden:
        lines.append(f"... and {hidden} more missing update{'s' * (hidden > 1)}; see history.jsonl")
    return lines + _departures_in_words(history.rounds) + _shared_workers_in_words(history)


def _departures(record: "RoundRecord") -> list[tuple[str, int]]:
    """Returns the stages behind that of training, and how many clients left in each, in a round's last attempt."""
    last = [stage for stage in record.stages if stage.attempt == record.stages[-1].attempt]
    left = [(stage.name, before.num_answers - stage.num_answers) for before, stage in pairwise(last)]
    return [(name, count) for name, count in left if name in _STAGES_BEHIND_TRAINING and count > 0]


def _departures_in_words(rounds: Sequence["RoundRecord"]) -> list[str]:
    """Returns a line for each round and stage that clients left in whose updates had come.

    No record names them, since their updates count; the log of the run does.
    """
    lines = [
        f"round {record.round_index}: {count} client{'s' * (count > 1)} left after their update had come, in the stage "
        f"{name!r}; run.log names them"
        for record in rounds
        for name, count in _departures(record)
    ]
    hidden = len(lines) - _MAX_REASONS_SHOWN
    return lines[:_MAX_REASONS_SHOWN] + ([f"... and {hidden} more such stages"] if hidden > 0 else [])


def _shared_workers_in_words(history: "RunHistory") -> list[str]:
    """Returns what to do about protected rounds that failed since a lost worker took several clients with it."""
    experiment = history.experiment
    size, workers = experiment.cohort_size or 0, experiment.engine.workers or usable_cores()
    is_shared = experiment.engine.kind == "processes" and workers < size <= _MOST_WORKERS_ADVISED
    if not experiment.aggregation.is_private or not is_shared:
        return []
    for record in history.rounds:
        reasons = Counter(client.reason for client in record.failures)
        lost_together = max(*reasons.values(), *(count for _, count in _departures(record)), 0, 0)
        if record.status == "failed" and lost_together > 1:
            shared = f"{size} clients shared {workers} worker{'s' * (workers > 1)}"
            return [f"{shared}; --workers {size} gives each client its own"]
    return []


def protection_in_words(protection: Mapping[str, Any]) -> list[str]:
    """Returns a line of who protects whom, where updates are protected, and one of how exact the sums are.

    Of an encrypted aggregation also lines of what it will cost.

    Args:
        protection: as `experiments.protection.describe` gives it.

    Example:
        >>> graph = {"graph": "complete", "num_clients": 10, "threshold": 7, "max_dropouts": 3}
        >>> _graph_in_words({**graph, "max_colluders": 5, "max_colluders_if_lying": 3})  # doctest: +ELLIPSIS
        'complete graph of 10 ... 5 may collude with a coordinator that follows the protocol, 3 with one that lies'
    """
    lines = []
    if protection["kind"] == "secagg":
        lines.append(f"secure aggregation: {_graph_in_words(protection)}")
    elif protection["kind"] == "paillier":
        lines += [f"encrypted aggregation: {line}" for line in _encryption_in_words(protection)]
        lines += estimate_in_words(protection["estimate"])
    weights = f", weights up to {protection['max_weight']:,}" if protection["max_weight"] > 1 else ""
    error = protection["max_error_of_mean"]
    exactness = "" if error is None else f"; each element of the mean is off by at most {error:.1e}, whoever drops out"
    lines.append(
        f"encoding: {protection['bits']} bits within ±{protection['clip']:g}{weights}, "
        f"{protection['bytes_per_weight']:.3g} bytes a parameter{exactness}"
    )
    return lines


def _encryption_in_words(protection: Mapping[str, Any]) -> list[str]:
    """Returns who can decrypt, what, with which key, and how updates are packed; and what is not to be relied on."""
    fewest, is_signed = protection["min_clients"], protection["sum_check"] == "signed"
    forms = "forms it itself of signed updates" if is_signed else "takes the coordinator's word for what is in it"
    is_apart = protection.get("is_holder_apart", True)
    apart = (
        "a process of its own" if is_apart else 'a key holder in the coordinator\'s process (engine.kind = "inline")'
    )
    sums = f"one sum a round over {fewest:,} or more of {protection['num_clients']:,} clients"
    holder = {
        "process": f"{apart} holds the key; it opens {sums} and {forms}",
        "clients": f"all clients hold the key; each opens {sums} and {forms}",
        "threshold": f"{protection.get('threshold')} of {protection.get('population')} clients open {sums} together; "
        f"each {forms}",
        "coordinator": "the coordinator itself holds the key and can read EVERY client's update (insecure = true)",
    }[protection["key_holder"]]
    line = (
        f"{holder}; key of {protection['key_bits']:,} bits ({protection['scheme']}), "
        f"{_count(protection['ciphertexts_per_update'], 'ciphertext')} an update, "
        f"{protection['slots_per_ciphertext']:,} slots of {protection['slot_bits']} bits in each"
    )
    weak = f"a key of {protection['key_bits']:,} bits can be factored: for teaching only"
    return [line, *_lies_in_words(protection), *([] if protection["is_key_secure"] else [weak])]


def _lies_in_words(protection: Mapping[str, Any]) -> list[str]:
    """Returns what a coordinator that lies can have opened; nothing where it gains nothing by lying."""
    key_holder, is_signed = protection["key_holder"], protection["sum_check"] == "signed"
    if key_holder == "coordinator" or (key_holder == "process" and is_signed):
        return []
    if not is_signed:
        return ['a coordinator that lies can have any one client\'s update of a round opened (sum_check = "trusted")']
    twice = "have two sums of a round opened, one update apart"
    if key_holder == "clients":
        return [f"a coordinator that lies can {twice}"]
    helpers = 2 * protection["threshold"] - protection["population"]
    if helpers <= 0:
        return [f"a coordinator that lies can {twice}: {protection['threshold']} are no majority of all clients"]
    return [f"a coordinator that lies can {twice}, if {_count(helpers, 'client')} or more help it"]


def estimate_in_words(estimate: Mapping[str, Any]) -> list[str]:
    """Returns a line of how long encryption will take, and one of what is sent and kept in memory.

    Args:
        estimate: as `experiments.paillier_estimate.estimate` gives it.
    """
    names = {"key": "the key", "prepare": "tables", "encrypt": "encrypting", "add": "adding", "open": "opening"}
    parts = [f"{what} {_duration(estimate[f'{name}_seconds'])}" for name, what in names.items()]
    where = f"{_count(estimate['workers'], 'worker')} on {_count(estimate['cores'], 'core')}"
    seconds = (
        f"estimate: encryption takes {_duration(estimate['seconds'])} with {where}, "
        f"{_duration(estimate['cpu_seconds'])} of CPU ({', '.join(parts)}); training comes on top"
    )
    bytes_up = (
        f"estimate: {_size(estimate['bytes_up_per_client'])} up a client and round, {_size(estimate['bytes_up'])} in "
        f"all; tables of {_size(estimate['table_bytes'])} in each worker's memory"
    )
    return [seconds, bytes_up]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _duration(seconds: float) -> str:
    """Returns a time with two digits or so, in seconds, or in minutes or hours where it is long.

    Example:
        >>> [_duration(seconds) for seconds in (0.0049, 0.014, 3.72, 41.8, 95, 601, 40_000)]
        ['0.00 s', '0.01 s', '3.7 s', '42 s', '1.6 min', '10 min', '11.1 h']
    """
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.1f} min" if seconds < 597 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h"


def _size(num_bytes: float) -> str:
    """Returns a number of bytes in the largest unit of which it is one or more.

    Example:
        >>> [_size(size) for size in (740, 240_400, 2_163_600, 41_700_000_000)]
        ['740 bytes', '240 kB', '2.2 MB', '41.7 GB']
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes / 1e3:.0f} kB" if num_bytes >= 1e4 else f"{num_bytes:,.0f} bytes"


def _graph_in_words(graph: Mapping[str, Any]) -> str:
    clients, threshold, dropouts = graph["num_clients"], graph["threshold"], graph["max_dropouts"]
    may_drop = f"up to {dropouts:,} may drop out" if dropouts else "no drop-out is tolerable"
    if clients == 2:
        return f"2 clients, threshold 2: {may_drop}, and each learns the other's update from the sum"
    is_complete = graph["graph"] == "complete"
    liars = f"{graph['max_colluders_if_lying'] or 'none'}"
    withstood = (
        f"threshold {threshold}: {may_drop}, up to {graph['max_colluders']:,} may collude with a coordinator that "
        f"follows the protocol, {liars}{'' if is_complete else ' of any neighbourhood'} with one that lies"
    )
    if is_complete:
        return f"complete graph of {clients} clients, {withstood}"
    chances = [
        f"{event} with a probability below 2^-{math.floor(10 * bits) / 10:.1f}"  # rounded down: it is a bound
        if bits is not None
        else f"{never} with the stated shares"
        for bits, event, never in (
            (graph["privacy_bits"], "an update can be read", "no update can be read"),
            (graph["liveness_bits"], "a round fails", "no round can fail"),
        )
    ]
    graph_of = f"graph of {clients:,} clients with {graph['degree']} neighbours each"
    return "; ".join([f"{graph_of}, {withstood}", *chances])


def losses_in_words(record: "RoundRecord", aggregation: "AggregationConfig") -> list[str]:
    """Returns what the encoding cut off in a round, in a line each; nothing where it lost nothing but small change.

    Args:
        record: of the round.
        aggregation: how updates were encoded.
    """
    lines = []
    clipped, capped = (record.cohort.get(name, 0.0) for name in ("clipped_share", "weight_capped"))
    if clipped:
        lines.append(
            f"round {record.round_index}: {_small_share(clipped)} of the weights' changes were clipped at "
            f"aggregation.clip = {aggregation.clip:g}: raise it or accept the loss"
        )
    if capped:
        lines.append(
            f"round {record.round_index}: {_small_share(capped)} of the clients have more examples than "
            f"aggregation.max_weight = {aggregation.max_weight} and count as if they had so many"
        )
    return lines


def stages_in_words(history: "RunHistory") -> str:
    """Returns where the time of a protected run went, summed over its rounds; nothing for a run of one stage."""
    seconds: dict[str, float] = {}
    for record in history.rounds:
        for stage in record.stages:
            seconds[stage.name] = seconds.get(stage.name, 0.0) + stage.seconds
    if len(seconds) < 2:
        return ""
    rest = sum(record.seconds for record in history.rounds) - sum(seconds.values())
    parts = [f"{name} {value:.2f} s" for name, value in seconds.items()]
    return f"time by stage: {', '.join(parts)}; the rest {max(0.0, rest):.2f} s"


def _small_share(share: float) -> str:
    """Returns a share in per cent with one digit that is not zero, where it is small."""
    return f"{100 * share:.1f} %" if share >= 0.001 else f"{100 * share:.1g} %"


def interruption_in_words(history: "RunHistory") -> str:
    """Returns what is kept of an interrupted run, and whether its last model was tested."""
    count, tested = len(history.rounds), history.last_evaluated
    text = f"Interrupted; {count} finished round{' is' if count == 1 else 's are'} kept."
    if not history.rounds or tested is history.rounds[-1]:
        return text
    last = "none was" if tested is None else f"the last test was after round {tested.round_index}"
    return f"{text} The model after round {history.rounds[-1].round_index} was not tested; {last}."


def rounds_in_words(rounds: float) -> str:
    """Returns how many rounds it took, and where the number comes from if it is not whole."""
    if rounds.is_integer():
        return f"{rounds:.0f} round{'s' * (rounds != 1)}"
    return f"{rounds:.1f} rounds, interpolated between tests"
