"""`fedgdl attack`: what a curious coordinator reads out of the updates it is sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from experiments.commands.output import JsonOption, SetOption, error_console, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.attacks.mailboxes import Email
    from experiments.attacks.protected_words import WordsProtocol
    from fedgdl.config import Experiment
    from fedgdl.data import PreparedDataset

__all__ = ["app"]

app = typer.Typer(help="Attack a federation, seeing only what its coordinator sees.", no_args_is_help=True)

_PROTECTED: Final = ("secagg", "paillier")
_BOOK_EMAIL: Final = "my computer password is pizza"
_USUAL_COHORT: Final = 10
_USUAL_KEY_BITS: Final = 2_048
"""Enough for a demonstration that takes seconds; runs take 3,072."""


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
        Literal["fedavg", "fedsgd", "secagg", "paillier"],
        typer.Option(
            help="The protocol: updates in the clear after the configured epochs, or after a single step; "
            "or after the configured epochs, masked or encrypted, among those of other clients."
        ),
    ] = "fedavg",
    clients: Annotated[
        int | None,
        typer.Option(
            help="How many take part against secagg or paillier, one e-mail each, Bob included; usually "
            f"{_USUAL_COHORT}."
        ),
    ] = None,
    key_bits: Annotated[
        int | None,
        typer.Option(
            min=128,
            max=8192,
            help=f"Bits of the key against paillier; usually {_USUAL_KEY_BITS:,}, and fewer only to try it out.",
        ),
    ] = None,
    config: Annotated[str, typer.Option(help="The experiment whose data and training are used.")] = "spam",
    overrides: SetOption = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the words of real e-mails too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read Bob's e-mail out of what he sends after training on it alone; where that is protected, try to."""
    from experiments.attacks.mailboxes import draw_emails
    from experiments.attacks.words import attack_emails
    from experiments.commands.attack_words import describe, print_findings, print_protected_findings
    from experiments.progress import work_bar
    from experiments.simulation import load_config
    from fedgdl.data import load_dataset

    _check_options(text, emails, against, clients, key_bits)
    # Protected or not, the cohort is that of --clients, not that of the file, which must not be held to its rules.
    own_cohort = ["aggregation.kind=plain"] if against in _PROTECTED else []
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
    match against:
        case "fedavg" | "fedsgd":
            with work_bar(console):
                findings = attack_emails(experiment, mail, victims, against)
            document |= describe(findings, mail, is_shown=is_bob_shown)
        case "secagg" | "paillier":
            document |= _attack_protected(
                experiment,
                mail,
                victims,
                against,
                num_clients=clients or _USUAL_COHORT,
                key_bits=key_bits or _USUAL_KEY_BITS,
                is_bob_shown=is_bob_shown,
                are_all_shown=are_all_shown,
            )
    if as_json:
        print_json(document)
    else:
        (print_protected_findings if against in _PROTECTED else print_findings)(document)


@app.command("book-paillier")
def book_paillier(
    *,
    key_bits: Annotated[int, typer.Option(min=64, max=192, help="Of the key; the book's has 128. Even.")] = 128,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Of the federation; the book prints 3.")] = 3,
    up_to_bits: Annotated[
        int, typer.Option(min=0, max=192, help="Factor other moduli too, of up to so many bits; 192 takes minutes.")
    ] = 160,
    seed: Annotated[int, typer.Option(help="Of factoring; keys come from the system's randomness.")] = 1,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Generated e-mails, also where the book's are on this machine.")
    ] = False,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", exists=True, file_okay=False, help="Look for data here before FEDGDL_DATA and the cache."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where picture and result are kept; runs/book-paillier-TIME if left out."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is wrong with the book's encryption: exponents in clear, one model decrypted, a key of 128 bits."""
    from experiments.attacks.book_demo import demonstrate
    from experiments.commands.attack_book import describe_book, keep_book, print_book
    from experiments.progress import work_bar
    from experiments.zoo.keeping import run_folder
    from fedgdl.config import DataConfig
    from fedgdl.data import load_dataset
    from fedgdl.zoo.book_mail import SEED, load_book_mail
    from fedgdl.zoo.recipe import Setting

    if key_bits % 2:
        message = f"a key is the product of two primes of one length, so its bits are even; got {key_bits}"
        raise typer.BadParameter(message, param_hint="--key-bits")
    folder = run_folder(out, "book-paillier")
    with work_bar(error_console()):
        if synthetic:
            mail = load_dataset(DataConfig("synthetic-mail"), SEED)
        else:
            mail = load_book_mail(Setting(data_root=None if root is None else str(root.absolute())))
        found = demonstrate(mail, key_bits=key_bits, num_rounds=rounds, up_to_bits=up_to_bits, seed=seed)
    document = describe_book(found, mail)
    keep_book(found, document, folder)
    if as_json:
        print_json(document)
    else:
        print_book(document)


def _attack_protected(
    experiment: "Experiment",
    mail: "PreparedDataset",
    victims: "Sequence[Email]",
    against: Literal["secagg", "paillier"],
    *,
    num_clients: int,
    key_bits: int,
    is_bob_shown: bool,
    are_all_shown: bool,
) -> dict[str, Any]:
    """Returns what was read of protected rounds, as a part of the command's document."""
    import tempfile

    from experiments.attacks.mailboxes import draw_cohorts
    from experiments.attacks.protected_words import attack_protected_emails
    from experiments.commands.attack_words import describe_protected
    from experiments.progress import work_bar
    from fedgdl.config import check_cohort

    protocol: WordsProtocol
    with tempfile.TemporaryDirectory(prefix="fedgdl-attack-") as folder:
        if against == "paillier":
            from experiments.attacks.encrypted_words import EncryptedWords  # it loads cryptography, as does the other

            protocol, more = EncryptedWords(key_bits, Path(folder)), {"key_bits": key_bits}
        else:
            from experiments.attacks.masked_words import MaskedWords

            protocol, more = MaskedWords(), {}
        config = protocol.configure(experiment.aggregation)
        check_cohort(config, num_clients, f"--clients {num_clients}")
        cohorts = draw_cohorts(mail, victims, num_clients, experiment.seed)
        with work_bar(error_console()):
            findings = attack_protected_emails(experiment, mail, cohorts, protocol)
    shown = describe_protected(findings, mail, protocol, is_bob_shown=is_bob_shown, are_all_shown=are_all_shown)
    return more | shown


def _check_options(
    text: str | None, emails: int | None, against: str, clients: int | None, key_bits: int | None
) -> None:
    """Refuses options that do not go together.

    Raises:
        typer.BadParameter: says which, and what to do.
    """
    if text is not None and emails is not None:
        message = "--text and --emails exclude each other"
        raise typer.BadParameter(message)
    if clients is not None and against not in _PROTECTED:
        message = f"against {against} Bob's update is read by itself; --clients goes with --against secagg or paillier"
        raise typer.BadParameter(message, param_hint="--clients")
    if key_bits is not None and (against != "paillier" or key_bits % 2):
        message = f"it goes with --against paillier, and is an even number; got {key_bits} against {against}"
        raise typer.BadParameter(message, param_hint="--key-bits")
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
