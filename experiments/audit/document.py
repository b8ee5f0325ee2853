"""What the coordinator saw, as JSON-ready values: all that the page shows, and of large cohorts what it leaves out.

Of a protected run it holds what the coordinator could see, and verdicts. No count, loss or accuracy of a single
client is in it, of a plain run neither: it says that they were there to be read.

Not here: what the verdicts rest on (`experiments.audit.evidence`) and how they are shown (`experiments.audit.page`).

Example:
    >>> checks = [Check("masks", "Are they uniform?", is_alarm=False, found="yes"), Check("bytes", "", None, "too few")]
    >>> verdict_of(Evidence(checks=checks), is_protected=True), verdict_of(Evidence(checks=[]), is_protected=True)
    ('passed', 'not tested')
"""

import statistics
from collections.abc import Mapping
from typing import Any, Final

from experiments.audit.checks import FALSE_ALARM_RATE, Check
from experiments.audit.evidence import Evidence
from experiments.audit.recorder import AuditRecorder
from experiments.audit.threat_model import threat_model
from experiments.audit.traffic import OpenedSum, RoundTraffic, StageTraffic
from experiments.run_history import RunHistory
from fedgdl.config import Experiment
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
    is_protected = history.experiment.aggregation.is_private
    checks = [_check(check, is_protected=is_protected) for check in evidence.checks]
    records = {record.round_index: record for record in history.rounds}
    return {
        "name": history.experiment.name,
        "status": history.status,
        "configuration": _configuration(history),
        "data_description": history.data_description,
        "data_is_synthetic": history.is_synthetic,
        "versions": dict(history.versions),
        "engine": history.experiment.engine.kind,
        "is_protected": is_protected,
        "verdict": verdict_of(evidence, is_protected=is_protected),
        "false_alarm_rate": FALSE_ALARM_RATE,
        "checks": checks,
        "threat_model": [
            {"heading": section.heading, "statements": list(section.statements)}
            for section in threat_model(history.experiment, history.protection or {})
        ],
        "could_read": list(_READABLE if is_protected else _READABLE_PLAIN),
        "could_not_read": list(_HIDDEN) if is_protected else [],
        "received": {
            "file": "received.bin",
            "bytes": recorder.bytes_up,
            "problem": recorder.problem,
            "num_unreadable_vectors": evidence.num_unreadable,
            "kinds": {
                name: {"frames": kind.num_frames, "bytes": kind.num_bytes}
                for name, kind in sorted(evidence.kinds.items())
            },
        },
        "rounds": [
            _round(index, traffic, records.get(index), evidence.refusals.get(index, []), is_protected=is_protected)
            for index, traffic in sorted(recorder.traffic.rounds.items())
        ],
    }


def verdict_of(evidence: Evidence, *, is_protected: bool) -> str:
    """Returns what all checks together say: `"passed"`, `"failed"`, `"not tested"`, or `"unprotected"`."""
    if not is_protected:
        return "unprotected"
    alarms = [check.is_alarm for check in evidence.checks]
    if any(alarms):
        return "failed"
    return "not tested" if all(alarm is None for alarm in alarms) else "passed"


def _check(check: Check, *, is_protected: bool) -> dict[str, Any]:
    if check.is_alarm is None:
        verdict = "not tested"
    elif is_protected:
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
        parts.append(
            f"{aggregation.bits} bits of [-{aggregation.clip:g}, {aggregation.clip:g}], rounding "
            f"{aggregation.rounding}, modulo 2^{aggregation.ring_bits}, largest weight {aggregation.max_weight:,}"
        )
    if aggregation.is_private:
        parts.append(_graph(experiment, history.protection or {}))
    return "; ".join(parts)


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
    is_protected: bool,
) -> dict[str, Any]:
    """Returns one round; a client's reason only where it is one that hides the client's numbers."""
    survivors = [client.client_id for client in record.clients if client.status == "done"] if record else []
    return {
        "round_index": round_index,
        "status": record.status if record else "unfinished",
        "num_asked": traffic.num_asked,
        "survivors": survivors,
        "missing": _missing(traffic, survivors),
        "refusals": [{"client_id": client, "reason": reason} for client, reason in refusals] if is_protected else [],
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
