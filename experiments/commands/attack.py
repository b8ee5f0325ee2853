"""`fedgdl attack`: what a curious coordinator reads out of the updates it is sent."""

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from experiments.commands.output import JsonOption, SetOption, error_console, print_json

if TYPE_CHECKING:
    from experiments.attacks.words import Finding
    from fedgdl.data import PreparedDataset

__all__ = ["app"]

app = typer.Typer(help="Attack a federation, seeing only what its coordinator sees.", no_args_is_help=True)

_BOOK_EMAIL: Final = "my computer password is pizza"


@app.callback()
def _group() -> None:
    """Attack a federation, seeing only what its coordinator sees."""


@app.command()
def words(
    *,
    text: Annotated[
        str | None, typer.Option(help=f'Bob\'s e-mail, in your own words; "{_BOOK_EMAIL}" if left out.')
    ] = None,
    label: Annotated[Literal["ham", "spam"], typer.Option(help="The label that Bob gives it.")] = "ham",
    emails: Annotated[
        int | None, typer.Option(min=1, help="Attack so many e-mails of the training data instead, one a round.")
    ] = None,
    against: Annotated[
        Literal["fedavg", "fedsgd"], typer.Option(help="The protocol: configured epochs, or a single step.")
    ] = "fedavg",
    config: Annotated[str, typer.Option(help="The experiment whose data and training are used.")] = "spam",
    overrides: SetOption = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the words of real e-mails too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read Bob's e-mail out of the update he sends after training on it alone."""
    import numpy as np

    from experiments.attacks.words import Email, attack_emails, draw_emails
    from experiments.progress import work_bar
    from experiments.simulation import load_config
    from fedgdl.data import distinct_tokens, load_dataset

    if text is not None and emails is not None:
        message = "--text and --emails exclude each other"
        raise typer.BadParameter(message)
    experiment = load_config(config, overrides or ())
    console = error_console()
    with work_bar(console):
        mail = load_dataset(experiment.data, experiment.seed)
    unknown: list[str] = []
    if emails is None:
        tokens = sorted(distinct_tokens(_BOOK_EMAIL if text is None else text))
        unknown = [token for token in tokens if token not in mail.vocabulary]
        victims = [Email(mail.vocabulary.encode(tokens)[0], int(label == "spam"))]
        if len(victims[0].word_ids) == 0:
            message = f"no word of this e-mail is in the vocabulary of {mail.description}; the model cannot see it"
            raise typer.BadParameter(message, param_hint="--text")
    else:
        victims = draw_emails(mail, emails, experiment.seed)
    with work_bar(console):
        findings = attack_emails(experiment, mail, victims, against)
    is_shown = emails is None or mail.is_synthetic or reveal
    document = {
        "attack": "words",
        "against": against,
        "data_description": mail.description,
        "data_is_synthetic": mail.is_synthetic,
        "precision": float(np.mean([finding.precision for finding in findings])),
        "recall": float(np.mean([finding.recall for finding in findings])),
        "labels_right": sum(finding.reading.label == finding.email.label for finding in findings),
        "unknown_words": unknown,
        "emails": [_describe(finding, mail, is_shown=is_shown) for finding in findings],
    }
    if as_json:
        print_json(document)
    else:
        _print(document)


def _describe(finding: "Finding", mail: "PreparedDataset", *, is_shown: bool) -> dict[str, Any]:
    description: dict[str, Any] = {
        "num_words": len(finding.email.word_ids),
        "num_words_read": len(finding.reading.word_ids),
        "precision": finding.precision,
        "recall": finding.recall,
        "label": _label(finding.email.label),
        "label_read": _label(finding.reading.label),
    }
    if is_shown:
        description["words_read"] = [mail.vocabulary.word(word_id) for word_id in finding.reading.word_ids.tolist()]
    return description


def _label(label: int | None) -> str | None:
    return None if label is None else ("ham", "spam")[label]


def _print(document: dict[str, Any]) -> None:
    typer.echo(f"vocabulary: {document['data_description']}")
    once = "Bob trains on one e-mail" if len(document["emails"]) == 1 else "In each round Bob trains on one e-mail"
    typer.echo(f"{once} ({document['against']}); the coordinator reads his update:")
    for email in document["emails"]:
        shown = " ".join(email["words_read"]) if "words_read" in email else "(words hidden; --reveal shows them)"
        typer.echo(
            f"  {email['num_words_read']} words, {email['label_read']}: {shown}\n"
            f"    precision {email['precision']:.3f}, recall {email['recall']:.3f}, it was {email['label']}"
        )
    if document["unknown_words"]:
        typer.echo(f"not in the vocabulary, so the model never saw: {' '.join(document['unknown_words'])}")
    count = len(document["emails"])
    typer.echo(
        f"{count} {'e-mail' if count == 1 else 'e-mails'}: precision {document['precision']:.3f}, "
        f"recall {document['recall']:.3f}, {document['labels_right']} of {count} labels right"
    )
