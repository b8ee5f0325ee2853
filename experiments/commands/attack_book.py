"""What `fedgdl attack book-paillier` found: as the JSON document of the command, and from that in words.

Imported by the command when it runs. Not here: the attacks (`experiments.attacks`), and the command's options
(`attack.py`).
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from experiments.attacks.book_paillier import sizes_of
from experiments.attacks.book_rounds import PUBLISHED
from experiments.attacks.short_key import RECORD_BITS, RECORD_CORE_YEARS, STRENGTHS
from experiments.commands.attack_table import print_table
from fedgdl.errors import ConfigError

if TYPE_CHECKING:
    from experiments.attacks.book_demo import Demonstration
    from experiments.attacks.exponents import ExponentFinding
    from fedgdl.data import PreparedDataset

__all__ = ["describe_book", "keep_book", "print_book"]

_BOOK_SOURCE = "enron-book"


def describe_book(found: "Demonstration", mail: "PreparedDataset") -> dict[str, Any]:
    """Returns what was found as JSON-ready values.

    Args:
        found: the demonstration.
        mail: the data that it is of.
    """
    is_book = mail.source.name == _BOOK_SOURCE
    published = {way: list(values) if is_book else [] for way, values in PUBLISHED.items()}
    clients = found.rounds.clients
    return {
        "attack": "book-paillier",
        "data_description": mail.description,
        "data_is_synthetic": mail.is_synthetic,
        "key_bits": found.key_bits,
        "exponents": {
            "zero_exponent": found.zero_exponent,
            "updates": [
                {**_exponents(floats), "on_one_scale": _exponents(scaled)}
                for floats, scaled in zip(found.floats, found.on_one_scale, strict=True)
            ],
        },
        "rounds": {
            "clients": list(clients),
            "decrypted_client": clients[-1],
            "published": published,
            "printed": [
                {
                    "accuracy": one.accuracy,
                    "accuracy_of_the_client_s_own_model": one.own_accuracy,
                    "are_signs_kept": one.are_signs_kept,
                }
                for one in found.rounds.printed
            ],
            "sum": [
                {
                    "accuracy": one.accuracy,
                    "accuracy_of_the_plain_mean": one.plain_accuracy,
                    "largest_difference": one.largest_difference,
                }
                for one in found.rounds.summed
            ],
        },
        "key": {
            "factors": [str(one) for one in found.broken_key.factors],  # JSON's readers may have doubles alone
            "seconds": found.broken_key.seconds,
            "sizes": [{"num_bits": one.num_bits, "seconds": one.seconds} for one in found.broken],
            "client": found.victim,
            "num_weights": found.read.num_weights,
            "num_equal": found.read.num_equal,
            "num_moved": found.read.num_moved,
            "decryption_seconds": found.read.seconds,
            "record": {"num_bits": RECORD_BITS, "core_years": RECORD_CORE_YEARS},
            "strengths": [{"num_bits": bits, "symmetric_bits": strength} for bits, strength in STRENGTHS.items()],
        },
    }


def keep_book(found: "Demonstration", document: dict[str, Any], folder: Path) -> None:
    """Writes exponents.png and, with the picture's name in it, result.json to a folder that is there.

    Raises:
        ConfigError: a file cannot be written.
    """
    import msgspec

    from experiments.attacks.exponent_picture import draw_exponents

    picture = folder / "exponents.png"
    document["picture"] = str(picture)
    try:
        picture.write_bytes(
            draw_exponents(found.floats[1], found.on_one_scale[1], is_synthetic=document["data_is_synthetic"])
        )
        (folder / "result.json").write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    except OSError as error:
        message = f"{folder} cannot be written: {error}; give another folder with --out"
        raise ConfigError(message) from error


def print_book(document: dict[str, Any]) -> None:
    """Prints the document in words: a part for each mistake."""
    typer.echo(f"data: {document['data_description']}")
    if document["data_is_synthetic"]:
        typer.echo(
            "These e-mails are generated: the book's are not on this machine, or were not asked for\n"
            "(fedgdl data fetch enron-book). What leaks is the same; accuracies are not the book's."
        )
    typer.echo(f"A key of {document['key_bits']} bits; as in the book, each weight is encrypted by itself.")
    _print_exponents(document)
    _print_rounds(document["rounds"])
    _print_key(document["key"], document["key_bits"])


def _exponents(finding: "ExponentFinding") -> dict[str, Any]:
    return {
        "client": finding.whose,
        "num_words": finding.num_words,
        "num_moved": finding.num_moved,
        "num_words_read": finding.num_read,
        "num_hits": finding.hits,
        "precision": finding.precision,
        "recall": finding.recall,
        "chance_precision": finding.chance_precision,
        "exponents": [
            {
                "exponent": exponent,
                "num_moved": finding.moved.get(exponent, 0),
                "num_unmoved": finding.unmoved.get(exponent, 0),
            }
            for exponent in sorted({*finding.moved, *finding.unmoved}, reverse=True)
        ],
    }


def _print_exponents(document: dict[str, Any]) -> None:
    updates = document["exponents"]["updates"]
    zero = document["exponents"]["zero_exponent"]
    typer.echo(
        "\n1. Each ciphertext is sent with its exponent in clear. A weight that did not move has "
        f"{zero};\n   so whoever has no key names the words whose exponent is another one:\n"
    )
    rows = []
    for update in updates:
        rows.append((f"   {update['client']}", *_reading(update)))
        rows.append(("     on one scale", *_reading(update["on_one_scale"])))
    print_table(("   update of", "moved", "named", "precision", "recall", "blind guessing"), rows)
    first = updates[1]
    typer.echo(f"\n   They tell the size of each change, too; in {first['client']}'s update:\n")
    rows = []
    for one in first["exponents"]:
        low, high = sizes_of(one["exponent"])
        size = f"{low:.1e} to {high:.1e}" + (", or zero" if one["exponent"] == zero else "")
        rows.append((f"   {one['exponent']}", size, f"{one['num_moved']:,}", f"{one['num_unmoved']:,}"))
    print_table(("   exponent", "size", "moved", "did not move"), rows)
    one_scale = first["on_one_scale"]["exponents"]
    typer.echo(
        f"\n   The cure: one scale for all. On it all {first['num_words']:,} exponents are {one_scale[0]['exponent']}, "
        "and nothing can be read of them."
    )
    if "picture" in document:
        typer.echo(f"   picture: {document['picture']}")


def _reading(update: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{update['num_moved']:,}",
        f"{update['num_words_read']:,}",
        f"{update['precision']:.4f}" if update["num_words_read"] else "-",
        f"{update['recall']:.4f}",
        f"{update['chance_precision']:.4f}",
    )


def _print_rounds(rounds: dict[str, Any]) -> None:
    name, count = rounds["decrypted_client"], len(rounds["clients"])
    typer.echo(
        f"\n2. As in the book, {count} encrypted models are added, and then {name}'s alone is decrypted and divided by "
        f"{count}:\n"
    )
    published = rounds["published"]
    rows = []
    for index, (printed, summed) in enumerate(zip(rounds["printed"], rounds["sum"], strict=True)):
        cells = [_percent(printed["accuracy"]), _percent(printed["accuracy_of_the_client_s_own_model"])]
        cells += [_percent(summed["accuracy"]), _percent(summed["accuracy_of_the_plain_mean"])]
        for way in published:
            cells.append(_percent(published[way][index]) if index < len(published[way]) else "")
        rows.append((f"   {index + 1}", *cells))
    headings = ("   round", f"{name}'s / {count}", f"{name}'s own", f"the sum / {count}", "plain mean")
    has_book = bool(published["printed"])
    book = ("book, encrypted", "book, plain") if has_book else ()
    print_table((*headings, *book), [row[: len(headings) + len(book)] for row in rows])
    if all(one["are_signs_kept"] for one in rounds["printed"]):
        typer.echo(
            f"\n   Dividing by {count} keeps every sign, so the first two are the same: what looks like a gain from\n"
            f"   encryption is {name}'s own model, which is in the hands of whoever decrypts it."
        )
    largest = max(one["largest_difference"] for one in rounds["sum"])
    typer.echo(f"   The decrypted sum differs from the plain one by {largest:.0e} of a weight at most.")


def _print_key(key: dict[str, Any], key_bits: int) -> None:
    typer.echo(f"\n3. The modulus has {key_bits} bits. It is the product of\n")
    typer.echo(f"   {key['factors'][0]} and\n   {key['factors'][1]},\n")
    typer.echo(
        f"   which a quadratic sieve on one core found in {_seconds(key['seconds'])}. With other moduli beside it:\n"
    )
    print_table(
        ("   bits", "found in"),
        [(f"   {one['num_bits']}", _seconds(one["seconds"])) for one in key["sizes"]],
    )
    typer.echo(
        f"\n   With the factors, {key['num_weights']:,} weights of {key['client']}'s update are decrypted in "
        f"{_seconds(key['decryption_seconds'])}: {key['num_equal']:,} of them\n   are the client's to the last bit, "
        f"signs and all; {key['num_moved']:,} are not zero."
    )
    record, strengths = key["record"], key["strengths"]
    longer = " and ".join(f"{one['num_bits']:,}" for one in strengths)
    bits = " and ".join(str(one["symmetric_bits"]) for one in strengths)
    typer.echo(
        f"\n   Longer keys: the largest modulus whose factoring was published, by far better means, has "
        f"{record['num_bits']} bits\n   (2020, about {record['core_years']:,} core-years). None of {longer} bits is "
        f"known to have been factored;\n   NIST's estimate is that it is as hard as finding a symmetric key of {bits} "
        "bits. The seconds above\n   are no measure of that: no line drawn through them reaches so far."
    )


def _percent(share: float) -> str:
    return f"{share:.2%}"


def _seconds(seconds: float) -> str:
    """Returns a duration with two digits at most: another run takes another time."""
    digits = max(0, 1 - math.floor(math.log10(seconds))) if seconds < 10 else 0
    return f"{seconds:.{min(digits, 3)}f} s"
