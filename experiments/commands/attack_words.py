"""What `fedgdl attack words` found: as the JSON document of the command, and from that in words.

Imported by the command when it runs. Not here: the attacks (`experiments.attacks`), and the command's options
(`attack.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import typer

from experiments.attacks.chance import compare_with_chance
from experiments.attacks.words import Finding
from experiments.commands.attack_table import print_table

if TYPE_CHECKING:
    from experiments.attacks.protected_words import ProtectedFinding, WordsProtocol
    from fedgdl.data import PreparedDataset

__all__ = ["describe", "describe_protected", "print_findings", "print_protected_findings"]

_FALSE_ALARM_RATE: Final = 1e-6
"""How often, at most, one protected vector is said to read unlike noise although it does not."""

_MAX_WORDS_PRINTED: Final = 12


@dataclass(frozen=True, slots=True)
class _InWords:
    """How a protocol's vectors are spoken of.

    Attributes:
        key: of the JSON document, for what was read of them.
        vector: one of them.
        secret_holder: who has the secret that protects them; empty where nobody has.
    """

    key: str
    vector: str
    secret_holder: str = ""


_PROTOCOLS: Final[Mapping[str, _InWords]] = {
    "secagg": _InWords("masked", "masked vector"),
    "paillier": _InWords("encrypted", "encrypted vector", "the key holder"),
}


def describe(findings: Sequence[Finding], mail: "PreparedDataset", *, is_shown: bool) -> dict[str, Any]:
    """Returns what was read of unprotected updates, as JSON-ready values.

    Args:
        findings: one for each e-mail.
        mail: says what the words are.
        is_shown: whether words may be shown, beside counts.
    """
    return {**_summary(findings), "emails": [_email(finding, mail, is_shown=is_shown) for finding in findings]}


def describe_protected(
    findings: Sequence["ProtectedFinding"],
    mail: "PreparedDataset",
    protocol: "WordsProtocol",
    *,
    is_bob_shown: bool,
    are_all_shown: bool,
) -> dict[str, Any]:
    """Returns what was read of protected rounds, as JSON-ready values.

    Args:
        findings: one for each e-mail; at least one.
        mail: says what the words are.
        protocol: protected the rounds.
        is_bob_shown: whether words of Bob's e-mails may be shown, beside counts.
        are_all_shown: whether those of all others, too.
    """
    num_words, readings, key = mail.num_words, protocol.readings, _PROTOCOLS[protocol.kind].key
    comparisons = {
        name: compare_with_chance([finding.vectors[name] for finding in findings], num_words) for name in readings
    }
    level = _FALSE_ALARM_RATE / (2 * len(readings))
    vectors = {
        name: {
            "reading": readings[name],
            **_summary([finding.vectors[name] for finding in findings]),
            "expected_num_hits": comparison.expected_hits / len(findings),
            "hits_p_value": comparison.hits_p_value,
            "labels_p_value": comparison.labels_p_value,
        }
        for name, comparison in comparisons.items()
    }
    return {
        "num_clients": findings[0].num_clients,
        "num_vocabulary_words": num_words,
        "chance_precision": float(np.mean([len(finding.email.word_ids) for finding in findings])) / num_words,
        key: vectors,
        "is_at_chance": all(comparison.smallest_p_value >= level for comparison in comparisons.values()),
        "false_alarm_rate": _FALSE_ALARM_RATE,
        "p_value_level": level,
        "sum": {
            **_summary([finding.summed for finding in findings]),
            "num_cohort_words": _mean(findings, lambda finding: finding.num_cohort_words),
        },
        "collusion": {"num_clients": 2, **_summary([finding.colluding for finding in findings])},
        **_with_secret([finding.with_secret for finding in findings]),
        "emails": [
            {
                "num_words": len(finding.email.word_ids),
                "label": _label(finding.email.label),
                "num_cohort_words": finding.num_cohort_words,
                key: {
                    # Read like an update, nearly every word of the vocabulary seems to have moved: not worth a list.
                    name: _reading(one, mail, is_shown=are_all_shown and name != "as_update")
                    for name, one in finding.vectors.items()
                },
                "sum": _reading(finding.summed, mail, is_shown=are_all_shown),
                "collusion": _reading(finding.colluding, mail, is_shown=is_bob_shown),
            }
            for finding in findings
        ],
    }


def _with_secret(findings: Sequence[Finding | None]) -> dict[str, Any]:
    """Returns what whoever has the secret reads, all e-mails together; nothing where nobody has it."""
    read = [finding for finding in findings if finding is not None]
    return {"with_secret": _summary(read)} if read else {}


def print_findings(document: dict[str, Any]) -> None:
    """Prints the document of an attack on unprotected updates, in words."""
    typer.echo(f"vocabulary: {document['data_description']}")
    once = "Bob trains on one e-mail" if len(document["emails"]) == 1 else "In each round Bob trains on one e-mail"
    typer.echo(f"{once} ({document['against']}); the coordinator reads his update:")
    for email in document["emails"]:
        shown = " ".join(email["words_read"]) if "words_read" in email else "(words hidden; --reveal shows them)"
        typer.echo(
            f"  {email['num_words_read']} words, {email['label_read']}: {shown}\n"
            f"    precision {email['precision']:.3f}, recall {email['recall']:.3f}, it was {email['label']}"
        )
    _print_unknown(document)
    count = len(document["emails"])
    typer.echo(
        f"{count} {'e-mail' if count == 1 else 'e-mails'}: precision {document['precision']:.3f}, "
        f"recall {document['recall']:.3f}, {document['labels_right']} of {count} labels right"
    )


def print_protected_findings(document: dict[str, Any]) -> None:
    """Prints the document of an attack on protected rounds: a table, and what to make of it."""
    count, others, spoken = len(document["emails"]), document["num_clients"] - 1, _PROTOCOLS[document["against"]]
    typer.echo(f"vocabulary: {document['data_description']}")
    who = f"Bob and {others:,} {'other' if others == 1 else 'others'}"
    once = who if count == 1 else f"In each of {count:,} rounds {who}"
    key = f", key of {document['key_bits']:,} bits" if "key_bits" in document else ""
    typer.echo(
        f"{once} train on one e-mail each ({document['against']}{key}); the coordinator reads what it receives:\n"
    )
    rows = [(f"  {view['reading']}", *_cells(view, count)) for view in document[spoken.key].values()]
    rows = [
        (f"Bob's {spoken.vector}", "", "", "", ""),
        *rows,
        ("blind guessing", "", _share(document["chance_precision"]), "", "one in two"),
        (f"the sum over all {document['num_clients']:,}", *_cells(document["sum"], count)),
        ("a sum of two, less the other one's update", *_cells(document["collusion"], count)),
    ]
    if "with_secret" in document:
        rows.append((f"Bob's {spoken.vector}, by {spoken.secret_holder}", *_cells(document["with_secret"], count)))
    print_table(("read from", "words", "precision", "recall", "labels right"), rows)
    _print_unknown(document)
    for line in _conclusions(document):
        typer.echo(line)


def _conclusions(document: dict[str, Any]) -> list[str]:
    """Returns what the table means, a line each, and what was read where it may be shown."""
    spoken = _PROTOCOLS[document["against"]]
    tests = 2 * len(document[spoken.key])
    level = document["p_value_level"]
    least = min(min(view["hits_p_value"], view["labels_p_value"]) for view in document[spoken.key].values())
    noise = "is read no better than by blind guessing" if document["is_at_chance"] else "is NOT read like noise"
    runs = f"{1 / document['false_alarm_rate']:,.0f}"
    whole = document["sum"]
    told = f"{'' if len(document['emails']) == 1 else 'on average '}{whole['num_words_read']:,.0f}"
    bobs = f"{whole['num_hits']:,.0f}"
    lost = whole["num_cohort_words"] - whole["num_words_read"]
    lines = [
        "",
        f"One {spoken.vector} {noise}: {tests} tests, which all together raise a false alarm",
        f"in one of {runs} runs at most.",
        f"Their smallest p-value, words or labels, is {_p_value(least)}; only one below {_p_value(level)}",
        "would tell of a leak.",
        f"Not hidden: which words somebody had, though not who. The sum tells {told}; {bobs} are Bob's.",
    ]
    if lost:
        lines.append(f"{lost:,.0f} more left no trace, since spam and ham that had them cancelled out.")
    lines.append(
        "Not hidden: Bob's update, if all others work with the coordinator, as the other one of two does here."
    )
    if "with_secret" in document:
        lines.append(
            f"Not hidden: Bob's update, if {spoken.secret_holder} works with the coordinator: it could decrypt his own."
        )
    if len(document["emails"]) == 1:
        (email,) = document["emails"]
        shown = {"the sum": email["sum"], "with the other one's help": email["collusion"]}
        lines += [f"  {view}: {_in_brief(one['words_read'])}" for view, one in shown.items() if "words_read" in one]
        if "words_read" not in email["sum"]:
            lines.append("  (words of others' e-mails are hidden; --reveal shows them)")
    return lines


def _print_unknown(document: dict[str, Any]) -> None:
    if document["unknown_words"]:
        typer.echo(f"not in the vocabulary, so the model never saw: {' '.join(document['unknown_words'])}")


def _cells(view: dict[str, Any], count: int) -> tuple[str, str, str, str]:
    return (
        f"{view['num_words_read']:,.0f}",
        _share(view["precision"]),
        _share(view["recall"]),
        f"{view['labels_right']} of {count}",
    )


def _p_value(value: float) -> str:
    return f"{value:.2f}" if value >= 0.005 else f"{value:.0e}"


def _share(value: float) -> str:
    return f"{value:.1e}" if 0 < value < 0.0005 else f"{value:.4f}"


def _summary(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "num_words_read": _mean(findings, lambda finding: len(finding.reading.word_ids)),
        "num_hits": _mean(findings, lambda finding: finding.hits),
        "precision": _mean(findings, lambda finding: finding.precision),
        "recall": _mean(findings, lambda finding: finding.recall),
        "labels_right": sum(finding.is_label_right for finding in findings),
    }


def _email(finding: Finding, mail: "PreparedDataset", *, is_shown: bool) -> dict[str, Any]:
    return {
        "num_words": len(finding.email.word_ids),
        **_reading(finding, mail, is_shown=is_shown),
        "label": _label(finding.email.label),
    }


def _reading(finding: Finding, mail: "PreparedDataset", *, is_shown: bool) -> dict[str, Any]:
    description: dict[str, Any] = {
        "num_words_read": len(finding.reading.word_ids),
        "precision": finding.precision,
        "recall": finding.recall,
        "label_read": _label(finding.reading.label),
    }
    if is_shown:
        description["words_read"] = [mail.vocabulary.word(word_id) for word_id in finding.reading.word_ids.tolist()]
    return description


def _label(label: int | None) -> str | None:
    return None if label is None else ("ham", "spam")[label]


def _in_brief(words: Sequence[str]) -> str:
    more = len(words) - _MAX_WORDS_PRINTED
    return " ".join(words[:_MAX_WORDS_PRINTED]) + (f" ... and {more:,} more" if more > 0 else "")


def _mean(findings: Sequence[Any], value: Callable[[Any], float]) -> float:
    return float(np.mean([value(finding) for finding in findings]))
