"""What the coordinator saw, as JSON-ready values: all that the page shows, and of large cohorts what it leaves out.

Of a protected run it holds what the coordinator could see, and verdicts. No count, loss or accuracy of a single
client is in it, of a plain run neither: it says that they were there to be read.

Not here: what the verdicts rest on (`experiments.audit.evidence`) and how they are shown (`experiments.audit.page`).

Example:
    >>> checks = [Check("masks", "Are they uniform?", is_alarm=False, found="yes"), Check("bytes", "", None, "too few")]
    >>> secagg = AggregationConfig("secagg")
    >>> verdict_of(Evidence(checks=checks), secagg), verdict_of(Evidence(checks=[]), secagg)
    ('passed', 'not tested')
"""

import statistics
from collections.abc import Mapping
from typing import Any, Final

from experiments.audit.encrypted_threats import could_not_read, could_read
from experiments.audit.evidence import Evidence
from experiments.audit.recorder import AuditRecorder
from experiments.audit.tallies import FALSE_ALARM_RATE, Check
from experiments.audit.threat_model import threat_model
from experiments.audit.traffic import OpenedSum, RoundTraffic, StageTraffic
from experiments.run_history import RunHistory
from fedgdl.config import AggregationConfig, Experiment
from fedgdl.federated import RoundRecord

__all__ = ["audit_document", "verdict_of"]

_READABLE: Final = (
    "which clients took part, and which left in which stage",
    "the size and the time of every message",
    "public keys, sealed shares, commitments and signatures",
    "the shares that open the masks of those that stayed, and the mask keys of those that left",
    "the sum of the weighted updates and of the weights, and the cohort's mean loss, accuracy and clipped share",
)
_HIDDEN: Final = (
    "any single client's update",
    "any single client's number of examples",
    "any single client's loss, accuracy and clipped share",
)
_READABLE_PLAIN: Final = (
    "which clients took part, and which failed, with the reason",
    "the size and the time of every message",
    "every client's update, element by element",
    "every client's number of examples, training loss and training accuracy",
)


def audit_document(history: RunHistory, recorder: AuditRecorder, evidence: Evidence) -> dict[str, Any]:
    """Returns the document of a run that is over."""
    aggregation = history.experiment.aggregation
    is_protected = aggregation.is_private and aggregation.key_holder != "coordinator"
    readable, hidden = _readable(history)
    checks = [_check(check, is_private=aggregation.is_private) for check in evidence.checks]
    records = {record.round_index: record for record in history.rounds}
    return {
        "name": history.experiment.name,
        "status": history.status,
        "configuration": _configuration(history),
        "data_description": history.data_description,
        "data_is_synthetic": history.is_synthetic,
        "versions": dict(history.versions),
        "engine": history.experiment.engine.kind,
        "kind": aggregation.kind,
        "is_protected": is_protected,
        "verdict": verdict_of(evidence, aggregation),
        "false_alarm_rate": FALSE_ALARM_RATE,
        "checks": checks,
        "threat_model": [
            {"heading": section.heading, "statements": list(section.statements)}
            for section in threat_model(history.experiment, history.protection or {})
        ],
        "could_read": list(readable),
        "could_not_read": list(hidden),
        "received": {
            "file": "received.bin",
            "bytes": recorder.bytes_received,
            "problem": recorder.problem,
            "num_unreadable_vectors": evidence.num_unreadable,
            "kinds": {
                name: {"frames": kind.num_frames, "bytes": kind.num_bytes}
                for name, kind in sorted(evidence.kinds.items())
            },
        },
        "rounds": [
            _round(
                index,
                traffic,
                records.get(index),
                evidence.refusals.get(index, []),
                is_private=aggregation.is_private,
            )
            for index, traffic in sorted(recorder.traffic.rounds.items())
        ],
    }


def verdict_of(evidence: Evidence, aggregation: AggregationConfig) -> str:
    """Returns what all checks together say: `"passed"`, `"failed"`, `"not tested"`, or `"unprotected"`.

    A run whose coordinator can read every update is not protected from it, however right the ciphertexts are; where
    these are wrong, the run has failed all the same.
    """
    alarms = [check.is_alarm for check in evidence.checks]
    if aggregation.is_private and any(alarms):
        return "failed"
    if not aggregation.is_private or aggregation.key_holder == "coordinator":
        return "unprotected"
    return "not tested" if all(alarm is None for alarm in alarms) else "passed"


def _check(check: Check, *, is_private: bool) -> dict[str, Any]:
    if check.is_alarm is None:
        verdict = "not tested"
    elif is_private:
        verdict = "failed" if check.is_alarm else "passed"
    else:
        verdict = "readable" if check.is_alarm else "nothing found"
    return {
        "name": check.name,
        "question": check.question,
        "verdict": verdict,
        "found": check.found,
        "p_value": check.p_value,
        "uses_truth": check.uses_truth,
    }


def _configuration(history: RunHistory) -> str:
    """Returns the run's configuration in a line."""
    experiment, aggregation = history.experiment, history.experiment.aggregation
    cohort = "all clients" if experiment.cohort_size is None else f"cohorts of {experiment.cohort_size:,} clients"
    parts = [
        f"{experiment.name} ({experiment.task})",
        f"{len(history.rounds):,} rounds",
        cohort,
        f"{history.model.layout.size:,} parameters",
        f"seed {experiment.seed}",
        f"engine {experiment.engine.kind}",
        f'aggregation "{aggregation.kind}"',
    ]
    if aggregation.is_encoded:
        ring = "" if aggregation.kind == "paillier" else f", modulo 2^{aggregation.ring_bits}"
        parts.append(
            f"{aggregation.bits} bits of [-{aggregation.clip:g}, {aggregation.clip:g}], rounding "
            f"{aggregation.rounding}{ring}, largest weight {aggregation.max_weight:,}"
        )
    if aggregation.kind == "secagg":
        parts.append(_graph(experiment, history.protection or {}))
    elif aggregation.kind == "paillier":
        parts.append(_key(aggregation, history.protection or {}))
    return "; ".join(parts)


def _readable(history: RunHistory) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns what the coordinator could read, and what not."""
    aggregation, protection = history.experiment.aggregation, history.protection or {}
    if aggregation.kind == "paillier":
        return could_read(aggregation, protection), could_not_read(aggregation, protection)
    return (_READABLE, _HIDDEN) if aggregation.is_private else (_READABLE_PLAIN, ())


def _key(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> str:
    holder = {
        "process": "a process of its own",
        "clients": "every client",
        "threshold": f"{protection.get('threshold')} of {protection.get('population')} clients together",
        "coordinator": "the coordinator",
    }[aggregation.key_holder]
    sums = "" if aggregation.key_holder == "coordinator" else f", sums {aggregation.sum_check}"
    return (
        f"key of {protection.get('key_bits'):,} bits with {holder}{sums}, at least {protection.get('min_clients')} "
        "clients in a sum"
    )


def _graph(experiment: Experiment, protection: Mapping[str, Any]) -> str:
    consistency = "signed" if experiment.aggregation.consistency else "not signed"
    return (
        f"{protection.get('graph')} graph of degree {protection.get('degree')}, threshold "
        f"{protection.get('threshold')}, at least {protection.get('min_survivors')} survivors, list of survivors "
        f"{consistency}"
    )


def _round(
    round_index: int,
    traffic: RoundTraffic,
    record: RoundRecord | None,
    refusals: list[tuple[str, str]],
    *,
    is_private: bool,
) -> dict[str, Any]:
    """Returns one round; a client's reason only where it is one that hides the client's numbers."""
    survivors = [client.client_id for client in record.clients if client.status == "done"] if record else []
    return {
        "round_index": round_index,
        "status": record.status if record else "unfinished",
        "num_asked": traffic.num_asked,
        "survivors": survivors,
        "missing": _missing(traffic, survivors),
        "refusals": [{"client_id": client, "reason": reason} for client, reason in refusals] if is_private else [],
        "stages": [_stage(stage) for stage in traffic.stages],
        "opened": _opened(traffic.opened),
    }


def _missing(traffic: RoundTraffic, survivors: list[str]) -> list[dict[str, str]]:
    """Returns who is not in the sum, and the last stage that each was asked in."""
    last_asked: dict[str, str] = {}
    for stage in traffic.stages:
        last_asked.update(dict.fromkeys(stage.asked, stage.name))
    return [
        {"client_id": client_id, "stage": stage}
        for client_id, stage in sorted(last_asked.items())
        if client_id not in set(survivors)
    ]


def _stage(stage: StageTraffic) -> dict[str, Any]:
    answers = stage.answers.values()
    return {
        "name": stage.name,
        "attempt": stage.attempt,
        "num_asked": len(stage.asked),
        "num_answered": len(stage.answers),
        "num_repeated": stage.num_repeated,
        "seconds": stage.seconds,
        "bytes_up": stage.bytes_up,
        "bytes_down": stage.bytes_down,
        "unanswered": stage.unanswered,
        "client_bytes": _spread([answer.num_bytes for answer in answers]),
        "client_seconds": _spread([answer.took_seconds for answer in answers]),
        "clients": [
            {"client_id": client_id, "bytes": answer.num_bytes, "seconds": answer.took_seconds}
            for client_id, answer in sorted(stage.answers.items())
        ],
    }


def _spread(values: list[int] | list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"least": min(values), "median": statistics.median(values), "most": max(values)}


def _opened(opened: OpenedSum | None) -> dict[str, Any] | None:
    """Returns what a sum told; only of how many it is where these are fewer than two: it would be one client's."""
    if opened is None or opened.num_clients < 2:
        return None if opened is None else {"num_clients": opened.num_clients, "means": {}, "sums": {}}
    return {
        "num_clients": opened.num_clients,
        "means": opened.means,
        "sums": {name: {"elements": size, "norm": norm} for name, (size, norm) in opened.norms.items()},
    }
