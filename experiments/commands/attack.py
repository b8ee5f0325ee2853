"""`fedgdl attack`: what a curious coordinator reads out of the updates it is sent."""

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from experiments.commands.output import JsonOption, SetOption, error_console, print_json

if TYPE_CHECKING:
    from experiments.attacks.mailboxes import Email
    from fedgdl.data import PreparedDataset

__all__ = ["app"]

app = typer.Typer(help="Attack a federation, seeing only what its coordinator sees.", no_args_is_help=True)

_BOOK_EMAIL: Final = "my computer password is pizza"
_USUAL_COHORT: Final = 10


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
        Literal["fedavg", "fedsgd", "secagg"],
        typer.Option(
            help="The protocol: updates in the clear after the configured epochs, or after a single step; "
            "or after the configured epochs, masked, among those of other clients."
        ),
    ] = "fedavg",
    clients: Annotated[
        int | None,
        typer.Option(
            help=f"How many take part against secagg, one e-mail each, Bob included; usually {_USUAL_COHORT}."
        ),
    ] = None,
    config: Annotated[str, typer.Option(help="The experiment whose data and training are used.")] = "spam",
    overrides: SetOption = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the words of real e-mails too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read Bob's e-mail out of what he sends after training on it alone; where that is masked, try to."""
    from msgspec.structs import replace

    from experiments.attacks.mailboxes import draw_cohorts, draw_emails
    from experiments.attacks.words import attack_emails
    from experiments.commands.attack_words import describe, describe_masked, print_findings, print_masked_findings
    from experiments.progress import work_bar
    from experiments.simulation import load_config
    from fedgdl.config import check_cohort
    from fedgdl.data import load_dataset

    _check_options(text, emails, against, clients)
    # Masked or not, the cohort is that of --clients, not that of the file, which must not be held to its rules.
    own_cohort = ["aggregation.kind=plain"] if against == "secagg" else []
    experiment = load_config(config, [*(overrides or ()), *own_cohort])
    console = error_console()
    with work_bar(console):
        mail = load_dataset(experiment.data, experiment.seed)
    unknown: list[str] = []
    if emails is None:
        victim, unknown = _own_email(mail, _BOOK_EMAIL if text is None else text, label)
        victims = [victim]
    else:
        victims = draw_emails(mail, emails, experiment.seed)
    document: dict[str, Any] = {
        "attack": "words",
        "against": against,
        "data_description": mail.description,
        "data_is_synthetic": mail.is_synthetic,
        "unknown_words": unknown,
    }
    are_all_shown = mail.is_synthetic or reveal
    is_bob_shown = are_all_shown or emails is None
    if against == "secagg":
        from experiments.attacks.masked_words import attack_masked_emails  # it loads cryptography

        num_clients = _USUAL_COHORT if clients is None else clients
        check_cohort(replace(experiment.aggregation, kind="secagg"), num_clients, f"--clients {num_clients}")
        cohorts = draw_cohorts(mail, victims, num_clients, experiment.seed)
        with work_bar(console):
            masked = attack_masked_emails(experiment, mail, cohorts)
        document |= describe_masked(masked, mail, is_bob_shown=is_bob_shown, are_all_shown=are_all_shown)
    else:
        with work_bar(console):
            findings = attack_emails(experiment, mail, victims, against)
        document |= describe(findings, mail, is_shown=is_bob_shown)
    if as_json:
        print_json(document)
    else:
        (print_masked_findings if against == "secagg" else print_findings)(document)


def _check_options(text: str | None, emails: int | None, against: str, clients: int | None) -> None:
    """Refuses options that do not go together.

    Raises:
        typer.BadParameter: says which, and what to do.
    """
    if text is not None and emails is not None:
        message = "--text and --emails exclude each other"
        raise typer.BadParameter(message)
    if clients is not None and against != "secagg":
        message = f"against {against} Bob's update is read by itself; --clients goes with --against secagg"
        raise typer.BadParameter(message, param_hint="--clients")
    if clients is not None and clients < 2:
        message = f"with {clients} there is nobody among whom Bob could hide; take 2 or more"
        raise typer.BadParameter(message, param_hint="--clients")


def _own_email(mail: "PreparedDataset", text: str, label: str) -> "tuple[Email, list[str]]":
    """Returns an e-mail of one's own, and those of its words that the vocabulary does not know.

    Raises:
        typer.BadParameter: it knows none.
    """
    from experiments.attacks.mailboxes import Email
    from fedgdl.data import distinct_tokens

    tokens = sorted(distinct_tokens(text))
    email = Email(mail.vocabulary.encode(tokens)[0], int(label == "spam"))
    if len(email.word_ids) == 0:
        message = f"no word of this e-mail is in the vocabulary of {mail.description}; the model cannot see it"
        raise typer.BadParameter(message, param_hint="--text")
    return email, [token for token in tokens if token not in mail.vocabulary]
