"""Chapter 15: the spam filter, learned in one place, then federated, and what one client's update gives away.

The federated recipes name a shipped configuration, which `experiments` runs. Of the book's data all that is known is
reproduced by the source `enron-book`, repetitions included, and every test e-mail is also a training e-mail there:
those accuracies are training accuracies. `spam` is the clean counterpart.

Not here: what is encrypted (`chapter_15_encryption`), and rounds, clients and coordinator (`fedgdl.federated`,
and the packages above).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 15, companion notebook.

Example:
    >>> [recipe.config for recipe in RECIPES if recipe.config]
    ['spam-book', 'spam']
"""

from typing import Final, cast

import numpy as np

from fedgdl.config import TrainingConfig
from fedgdl.data import BagExamples, Vocabulary
from fedgdl.federated import evaluate, train_client
from fedgdl.federated.tasks.spam import SpamTask
from fedgdl.models import SpamModel
from fedgdl.progress import watched
from fedgdl.seeding import stream
from fedgdl.zoo.book_mail import PLAN, SEED, LocalTraining, book_clients, in_book_order, load_book_mail
from fedgdl.zoo.pictures import Curves, Line, Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_least, equal, exactly

__all__ = ["EMAIL", "RECIPES", "expect_losses", "read_an_email"]

_EPOCHS: Final = 3

EMAIL: Final = ("my", "computer", "password", "is", "pizza")
"""The words of Bob's one e-mail, which is no spam."""


def _learn_centrally(setting: Setting) -> Outcome:
    """Trains on everybody's e-mails together, epoch after epoch, and tests after each."""
    mail = load_book_mail(setting)
    train, test, task = in_book_order(mail), cast("BagExamples", mail.test), SpamTask()
    model = SpamModel(mail.num_words, dtype="float64")
    parameters = model.flatten()
    losses, accuracies = [], []
    for epoch in watched(range(1, _EPOCHS + 1), "ch15-spam-central"):
        rng = stream(SEED, "shuffle", round_index=epoch)  # takes part in nothing: the order is the file's
        losses.append(train_client(task, model, parameters, train, PLAN, rng).train_loss)
        accuracies.append(evaluate(task, model, test).accuracy)
    epochs = range(1, _EPOCHS + 1)
    measured: dict[str, Value] = {
        "words": mail.num_words,
        "training e-mails": len(train),
        "test e-mails": len(test),
        "test e-mails that are training e-mails too": _num_copies(test, train),
        **{f"{kind} kept": mail.counts[kind] for kind in ("spam", "ham") if kind in mail.counts},
    }
    for epoch, loss, accuracy in zip(epochs, losses, accuracies, strict=True):
        measured[f"training loss of epoch {epoch}"] = loss
        measured[f"test accuracy after epoch {epoch}"] = accuracy
    lines = (Line("training loss", epochs, losses), Line("test accuracy", epochs, accuracies))
    return Outcome(
        measured,
        {"epochs": Curves("A spam filter learned in one place", "epoch", "loss, accuracy", lines)},
        parameters,
        data=mail.description,
        is_synthetic=mail.is_synthetic,
    )


def _num_copies(examples: BagExamples, others: BagExamples) -> int:
    """Returns how many e-mails have the same words as one of some others."""
    known = {others.slice(row, row + 1).token_ids.tobytes() for row in range(len(others))}
    return sum(examples.slice(row, row + 1).token_ids.tobytes() in known for row in range(len(examples)))


def _train_each_alone(setting: Setting) -> Outcome:
    """Trains each client's model for a round, and tests each of them, and two means of them."""
    mail = load_book_mail(setting)
    local, clients = LocalTraining(mail), book_clients(mail)
    sizes = [len(mail.client(name)) for name in clients]
    start = np.zeros(mail.num_words)
    models = [start + local.train(name, start, round_index=1).delta for name in clients]
    alone = {name: local.test(model) for name, model in zip(clients, models, strict=True)}
    equal_mean = local.test(np.mean(models, axis=0))
    weighted = local.test(np.average(models, axis=0, weights=sizes))
    measured: dict[str, Value] = {
        "training e-mails of each": tuple(sizes),
        "whole batches of each": tuple(size // PLAN.batch_size for size in sizes),
        **{f"accuracy of {name}'s model": accuracy for name, accuracy in alone.items()},
        "accuracy of the equal mean": equal_mean,
        "accuracy of the mean weighted by e-mails": weighted,
        "best single model, less the equal mean": max(alone.values()) - equal_mean,
    }
    lines = [f"{name:10} {accuracy:.4f}" for name, accuracy in alone.items()]
    lines += [f"{'equal mean':10} {equal_mean:.4f}", f"{'weighted':10} {weighted:.4f}"]
    return Outcome(
        measured,
        {"models": Text("Test accuracies after one round", "\n".join(lines))},
        data=mail.description,
        is_synthetic=mail.is_synthetic,
    )


def read_an_email(setting: Setting) -> Outcome:
    """Has Bob train once on his one e-mail, and looks at what moved."""
    mail = load_book_mail(setting)
    known = mail.vocabulary
    # Generated e-mails may lack a word of Bob's.
    vocabulary = Vocabulary([*known.words, *(word for word in EMAIL if word not in known)])
    bob = BagExamples.of([sorted(vocabulary.id_of(word) for word in EMAIL)], labels=[0])
    model = SpamModel(len(vocabulary), dtype="float64")
    plan = TrainingConfig(epochs=1, batch_size=1, learning_rate=0.01, loss_reduction="sum", shuffle=False)
    update = train_client(SpamTask(), model, model.flatten(), bob, plan, stream(SEED, "shuffle"))
    moved = np.flatnonzero(update.delta)
    words = tuple(sorted(vocabulary.word(int(word)) for word in moved))
    changes = tuple(update.delta[moved].tolist())
    table = "\n".join(f"{vocabulary.word(int(word)):10} {update.delta[word]:+.4f}" for word in moved)
    return Outcome(
        {
            "words whose weight moved": words,
            "their changes": changes,
            "weights that did not move": len(vocabulary) - len(moved),
            "loss": update.train_loss,
            "label that the signs give away": "spam" if changes and changes[0] > 0 else "no spam",
        },
        {"update": Text("What Bob's update says", f"{table}\nall other {len(vocabulary) - len(moved):,} words: 0")},
        data=mail.description,
        is_synthetic=mail.is_synthetic,
    )


def expect_losses(client_id: str, losses: tuple[float, ...]) -> tuple[Expected, ...]:
    """Returns what a client's losses are held to, round by round, on the book's e-mails."""
    return tuple(
        Expected(f"loss of {client_id}, round {number}", loss, exactly, origin="book", needs_real_data=True)
        for number, loss in enumerate(losses, 1)
    )


RECIPES: Final = (
    Recipe(
        name="ch15-spam-central",
        chapter=15,
        section="Learning to detect spam",
        summary="The spam filter learned in one place, on all e-mails of the book.",
        model="one weight for each of 50,635 words, summed, sigmoid; all zero at first",
        data="enron-book: 41,908 training e-mails, 2,000 test e-mails, all of which are training e-mails too",
        settings={"epochs": str(_EPOCHS), "batch": "500, in file order", "learning rate": "0.01 on the sum of squares"},
        published="nothing: the notebook's output is not kept",
        defects=("B16", "B29", "B30"),
        source="enron-book",
        expected=(
            Expected("words", 50_635, equal, origin="derived", needs_real_data=True),
            Expected("training e-mails", 41_908, equal, origin="derived", needs_real_data=True),
            Expected("test e-mails", 2_000, equal, origin="derived", needs_real_data=True),
            Expected(
                "test e-mails that are training e-mails too", 2_000, equal, origin="derived", needs_real_data=True
            ),
            # Six copies of those with fewer than 500 different words.
            Expected("spam kept", 6 * 1_460, equal, origin="derived", needs_real_data=True),
            Expected("ham kept", 6 * 3_659, equal, origin="derived", needs_real_data=True),
            # An independent computation with a sparse matrix, in float64. No test e-mail's probability is nearer to
            # one half than 0.0035, so accuracies are exact.
            Expected("training loss of epoch 1", 0.037140416860871446, exactly, origin="derived", needs_real_data=True),
            Expected("training loss of epoch 2", 0.011258669226059108, exactly, origin="derived", needs_real_data=True),
            Expected("training loss of epoch 3", 0.008068268387986223, exactly, origin="derived", needs_real_data=True),
            Expected("test accuracy after epoch 1", 0.9865, equal, origin="derived", needs_real_data=True),
            Expected("test accuracy after epoch 2", 0.9915, equal, origin="derived", needs_real_data=True),
            Expected("test accuracy after epoch 3", 0.9945, equal, origin="derived", needs_real_data=True),
            Expected("test accuracy after epoch 3", 0.85, at_least, origin="goal"),
        ),
        run=_learn_centrally,
    ),
    Recipe(
        name="ch15-federated",
        chapter=15,
        section="Let's make it federated",
        summary="Bob, Alice and Sue: the plain mean of three models, three rounds, digit for digit.",
        model="one weight for each of 50,635 words, summed, sigmoid; all zero at first",
        data="enron-book: 1,000 / 1,000 / 39,908 training e-mails; 2,000 test e-mails, all of them in training too",
        settings={
            "rounds": "3",
            "local epochs": "1",
            "batch": "500, in file order, the last incomplete one left out",
            "learning rate": "0.01 on the sum of squares",
            "weights of the mean": "equal",
        },
        published="accuracies 84.05, 92.25 and 98.8 per cent, and the losses below",
        defects=("B22", "B24", "B28", "B29"),
        source="enron-book",
        expected=(
            Expected("accuracy after round 1", 0.8405, equal, origin="book", needs_real_data=True),
            Expected("accuracy after round 2", 0.9225, equal, origin="book", needs_real_data=True),
            Expected("accuracy after round 3", 0.988, equal, origin="book", needs_real_data=True),
            *expect_losses("bob", (0.21908166249699718, 0.06625367483630413, 0.030819682914453833)),
            *expect_losses("alice", (0.2937106899184867, 0.09595374225556821, 0.03580324891736099)),
            *expect_losses("sue", (0.033339966977175894, 0.020290247881140743, 0.015368461608470256)),
            # Of generated e-mails, in six mailboxes of which one is too small to take part: far better than a coin.
            Expected("accuracy after round 3", 0.6, at_least, origin="goal"),
        ),
        config="spam-book",
    ),
    Recipe(
        name="ch15-each-alone",
        chapter=15,
        section="Let's make it federated",
        summary="What the three models of the first round are worth by themselves: the equal mean is held back by the "
        "two that know least.",
        model="one weight for each of 50,635 words, summed, sigmoid; all zero at first",
        data="enron-book: 1,000 / 1,000 / 39,908 training e-mails; 2,000 test e-mails, all of them in training too",
        settings={"rounds": "1", "batch": "500, in file order, the last incomplete one left out"},
        published="84.05 per cent for the equal mean",
        defects=("B29",),
        source="enron-book",
        expected=(
            Expected("training e-mails of each", (1_000, 1_000, 39_908), equal, origin="derived", needs_real_data=True),
            Expected("whole batches of each", (2, 2, 79), equal, origin="derived", needs_real_data=True),
            Expected("accuracy of bob's model", 0.5, equal, origin="derived", needs_real_data=True),
            Expected("accuracy of alice's model", 0.843, equal, origin="derived", needs_real_data=True),
            Expected("accuracy of sue's model", 0.9875, equal, origin="derived", needs_real_data=True),
            Expected("accuracy of the equal mean", 0.8405, equal, origin="book", needs_real_data=True),
            Expected("accuracy of the mean weighted by e-mails", 0.98, at_least, origin="goal", needs_real_data=True),
            Expected("best single model, less the equal mean", 0.1, at_least, origin="goal", needs_real_data=True),
            # Of generated mailboxes, much alike, no model is worth much by itself, and means are better.
            Expected("accuracy of the mean weighted by e-mails", 0.75, at_least, origin="goal"),
        ),
        run=_train_each_alone,
    ),
    Recipe(
        name="ch15-federated-clean",
        chapter=15,
        section="Let's make it federated",
        summary="The same done clean: each e-mail once, none both in training and test, words of the training part "
        "alone, models weighted by their e-mails.",
        model="one weight for each word, summed, sigmoid; all zero at first",
        data="enron: all six mailboxes, a fifth for testing; 10, 20 and 70 per cent for Bob, Alice and Sue",
        settings={
            "rounds": "5",
            "local epochs": "1",
            "batch": "100, shuffled",
            "learning rate": "0.01 on the sum of squares",
            "weights of the mean": "numbers of e-mails",
        },
        source="enron",
        expected=(
            Expected("accuracy after round 5", 0.98, at_least, origin="goal", needs_real_data=True),
            Expected("accuracy after round 5", 0.9, at_least, origin="goal"),
        ),
        config="spam",
    ),
    Recipe(
        name="ch15-hacking",
        chapter=15,
        section="Hacking into federated learning",
        summary="Bob trains on one e-mail; his update names its words, and its sign the label.",
        model="one weight for each word, summed, sigmoid; all zero at first",
        data="one e-mail, no spam: my computer password is pizza; the words of enron-book",
        settings={"steps": "1", "learning rate": "0.01 on the square"},
        published="loss 0.0005, 500 times too small; five weights of -0.0025, all others 0",
        defects=("B24", "B27"),
        source="enron-book",
        expected=(
            Expected("words whose weight moved", tuple(sorted(EMAIL)), equal, origin="book"),
            Expected("their changes", (-0.0025,) * len(EMAIL), equal, origin="book"),
            Expected("weights that did not move", 50_630, equal, origin="derived", needs_real_data=True),
            # A probability of one half where 0 is right: (1/2)^2. The book divides by its batch size of 500 once more.
            Expected("loss", 0.25, equal, origin="derived"),
            Expected("label that the signs give away", "no spam", equal, origin="derived"),
        ),
        run=read_an_email,
    ),
)
