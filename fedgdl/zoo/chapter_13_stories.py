"""Chapter 13, its end: a recurrent layer that guesses the next word of bAbI's first stories.

Once as the book does, on a hundred sentences that it learns by heart, and once on all of them, measured on the
official test stories. Where people go in these stories is drawn by lot, so nobody can guess more than one place in six:
what counts is to be as good as counting how training sentences that begin the same went on.

Not here: stories of all tasks as a federation (`fedgdl.federated.tasks.next_word`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 13, companion notebook.

Example:
    >>> share_by_counting([["where", "is", "mary"], ["where", "is", "john"]], [["where", "is", "bob"]])
    0.5
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl import nn, optim
from fedgdl.autograd import Tensor, no_grad
from fedgdl.data.sources.babi import words_of_line
from fedgdl.data.stories import book_sentences, load_stories
from fedgdl.data.text import Vocabulary
from fedgdl.models import NextWordModel
from fedgdl.models.sampling import write
from fedgdl.progress import watched
from fedgdl.zoo.pictures import Curves, Line, Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_least, equal, within

__all__ = ["RECIPES", "share_by_counting", "write_story"]

_Ids = npt.NDArray[np.int64]

_PADDING: Final = "-"
_BOOK_ROWS: Final = 100
_BOOK_STEPS: Final = 1_000
_PRINT_EVERY: Final = 200

_EPOCHS: Final = 5
_BATCH_SIZE: Final = 50
_WRITTEN: Final = 50
"""Sentences that the model writes."""

_SHOWN: Final = 12
_BEGINNINGS: Final = ("mary", "mary moved", "mary moved to", "mary moved to the", "where", "where is")
_ROOMS: Final = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")


class _BookReader(nn.Module):
    """The book's network: words as 16 numbers, a recurrent layer of 16 sigmoids, a score for each word."""

    def __init__(self, num_words: int, rng: np.random.Generator) -> None:
        self.words = nn.Embedding(num_words, 16, rng=rng, dtype="float64")
        self.reader = nn.RNN(16, 16, nonlinearity="sigmoid", rng=rng, initial=nn.init.kaiming_normal, dtype="float64")
        self.out = nn.Linear(16, num_words, rng=rng, initial=nn.init.kaiming_normal, dtype="float64")

    def forward(self, window: _Ids) -> Tensor:
        """Returns the scores of the word after a window (T, B), (B, V)."""
        _, last = self.reader(window, embedding=self.words)
        return self.out(last)


def share_by_counting(train: Sequence[Sequence[str]], test: Sequence[Sequence[str]]) -> float:
    """Returns the share of next words that are guessed right by what most often followed the same beginning.

    Args:
        train: sentences to count in; of words that followed equally often, the first is guessed.
        test: sentences to guess in, from the second word on. A beginning that was never seen counts as a wrong guess.
    """
    followers: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for position in range(1, len(sentence)):
            followers[tuple(sentence[:position])][sentence[position]] += 1
    num_right = num_words = 0
    for sentence in test:
        for position in range(1, len(sentence)):
            counts = followers.get(tuple(sentence[:position]))
            num_right += counts is not None and counts.most_common(1)[0][0] == sentence[position]
            num_words += 1
    return num_right / num_words


def _read_by_heart(setting: Setting) -> Outcome:
    """Trains on the book's hundred rows, a thousand times each, and asks for the same rows."""
    stories = load_stories(setting.data_root, allow_synthetic=setting.allow_synthetic)
    sentences = book_sentences(stories)
    longest = max(map(len, sentences))
    padded = [[_PADDING] * (longest - len(sentence)) + sentence for sentence in sentences]
    vocabulary = Vocabulary.build(padded)
    rows = np.array([[vocabulary.id_of(word) for word in sentence] for sentence in padded[:_BOOK_ROWS]])
    window, answers = np.ascontiguousarray(rows[:, :-1].T), rows[:, -1]
    model = _BookReader(len(vocabulary), np.random.default_rng(0))
    optimizer, entropy = optim.SGD(model.parameters(), lr=0.05), nn.CrossEntropyLoss("sum")
    losses, shares = [], []
    for step in watched(range(_BOOK_STEPS), "ch13-rnn"):
        scores = model(window)
        loss = entropy(scores, answers)
        loss.backward()
        optimizer.step()
        if step % _PRINT_EVERY == 0 or step == _BOOK_STEPS - 1:
            losses.append(loss.item() / len(rows))
            shares.append(float(np.mean(scores.data.argmax(1) == answers)))
    shown = rows[0]
    guess = vocabulary.word(int(model(window).data[0].argmax()))
    sentence = " ".join(vocabulary.word(int(word)) for word in shown)
    steps = [*range(0, _BOOK_STEPS, _PRINT_EVERY), _BOOK_STEPS - 1]
    return Outcome(
        {
            "words": len(vocabulary),
            "share right at the start": shares[0],
            "share right of the 100 rows learned": shares[-1],
            "loss": losses[-1],
        },
        {
            "share": Curves("A hundred rows by heart", "step", "share right", (Line("share right", steps, shares),)),
            "guess": Text("A guess", f"{sentence}\nguessed last word: {guess}"),
        },
        model.flatten(),
        data=stories.description,
        is_synthetic=stories.is_synthetic,
    )


def _read_stories(setting: Setting) -> Outcome:
    """Trains on all sentences of the training stories, and guesses each next word of the test stories."""
    stories = load_stories(setting.data_root, allow_synthetic=setting.allow_synthetic)
    train, test = ([words_of_line(line) for line in stories.lines[1][part]] for part in ("train", "test"))
    vocabulary = Vocabulary.build(train)
    model, shares = _learn(train, test, vocabulary)
    follow_ups = {beginning: _likeliest(model, beginning, vocabulary) for beginning in _BEGINNINGS}
    shown = "\n".join(
        f"{beginning} ... {', '.join(f'{word} {share:.2f}' for word, share in found[:6])}"
        for beginning, found in follow_ups.items()
        if found
    )
    counted = share_by_counting(train, test)
    written = write_story(model, train, vocabulary, np.random.default_rng(2))
    known = {" ".join(sentence) for sentence in train}
    return Outcome(
        {
            "sentences written that a training story could have": sum(line in known for line in written) / len(written),
            "different sentences written": len(set(written)),
            "share of test words right": shares[-1],
            "share right by counting beginnings": counted,
            "share right, less that by counting": shares[-1] - counted,
            'the six likeliest words after "mary moved to the"': tuple(
                sorted(word for word, _ in follow_ups["mary moved to the"][:6])
            ),
        },
        {
            "share": Curves(
                "Next words of unread stories",
                "epoch",
                "share right",
                (
                    Line("recurrent layer", range(1, _EPOCHS + 1), shares),
                    Line("counting", (1, _EPOCHS), (counted,) * 2),
                ),
            ),
            "guesses": Text("What comes next", shown),
            "story": Text("Written by the model, word by word", "\n".join(written[:_SHOWN])),
        },
        model.flatten(),
        data=stories.description,
        is_synthetic=stories.is_synthetic,
    )


def _learn(
    train: Sequence[Sequence[str]], test: Sequence[Sequence[str]], vocabulary: Vocabulary
) -> tuple[NextWordModel, list[float]]:
    """Returns a model that was trained on some sentences, and its share of right guesses in others after each epoch."""
    inputs, targets = _windows(train, vocabulary)
    model = NextWordModel(len(vocabulary), 16, 64, rng=np.random.default_rng(0))
    optimizer, entropy, order = optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss(), np.random.default_rng(1)
    shares = []
    for _ in watched(range(_EPOCHS), "ch13-rnn-stories"):
        rows = order.permutation(inputs.shape[1])
        for start in range(0, len(rows), _BATCH_SIZE):
            batch = rows[start : start + _BATCH_SIZE]
            scores, _ = model(inputs[:, batch])
            goals = targets[:, batch]
            positions = np.flatnonzero(goals >= 0)  # the others are behind a sentence's end
            entropy(scores.reshape(-1, len(vocabulary))[positions], goals.ravel()[positions]).backward()
            optimizer.step()
        optimizer.lr *= 0.5
        shares.append(_share_right(model, test, vocabulary))
    return model, shares


def write_story(
    model: NextWordModel, train: Sequence[Sequence[str]], vocabulary: Vocabulary, rng: np.random.Generator
) -> list[str]:
    """Returns sentences that a model writes, each after the first word of some training sentence.

    Args:
        model: says what comes next.
        train: sentences, of which some are drawn; none written is longer than the longest.
        vocabulary: what the ids mean.
        rng: draws the sentences to begin like, and the words.
    """
    story, longest = [], max(map(len, train))
    for row in rng.integers(len(train), size=_WRITTEN).tolist():
        first = vocabulary.id_of(train[row][0])
        ids = [first, *write(model, np.array([first]), longest - 1, rng).tolist()]
        story.append(" ".join(_sentence([vocabulary.word(word) for word in ids])))
    return story


def _sentence(words: list[str]) -> list[str]:
    """Returns words up to their full stop, or to the answer behind their question mark."""
    for position, word in enumerate(words):
        if word in {".", "?"}:
            return words[: position + (2 if word == "?" else 1)]
    return words


def _windows(sentences: Sequence[Sequence[str]], vocabulary: Vocabulary) -> tuple[_Ids, _Ids]:
    """Returns the words read and the words that follow, (T, n) each; behind a sentence's end 0 and -1."""
    longest = max(map(len, sentences)) - 1
    inputs, targets = np.zeros((longest, len(sentences)), np.int64), np.full((longest, len(sentences)), -1)
    for column, sentence in enumerate(sentences):
        ids = [vocabulary.id_of(word) if word in vocabulary else -1 for word in sentence]
        inputs[: len(ids) - 1, column] = np.maximum(ids[:-1], 0)
        targets[: len(ids) - 1, column] = ids[1:]
    return inputs, targets


def _share_right(model: NextWordModel, sentences: Sequence[Sequence[str]], vocabulary: Vocabulary) -> float:
    """Returns the share of next words guessed right; an unknown one counts as wrong."""
    inputs, targets = _windows(sentences, vocabulary)
    with no_grad():
        scores, _ = model(inputs)
    num_right = np.count_nonzero(scores.data.argmax(-1) == targets)
    return float(num_right / sum(len(sentence) - 1 for sentence in sentences))


def _likeliest(model: NextWordModel, beginning: str, vocabulary: Vocabulary) -> list[tuple[str, float]]:
    """Returns the words that may follow a beginning with their probabilities, the likeliest first; none if unknown."""
    words = beginning.split()
    if not all(word in vocabulary for word in words):
        return []
    with no_grad():
        scores, _ = model(np.array([[vocabulary.id_of(word)] for word in words]))
    exps = np.exp(scores.data[-1, 0] - scores.data[-1, 0].max())
    order = np.argsort(-exps, kind="stable")
    return [(vocabulary.word(int(word)), float(exps[word] / exps.sum())) for word in order]


RECIPES: Final = (
    Recipe(
        name="ch13-rnn",
        chapter=13,
        section="The recurrent neural network layer",
        summary="The book's set-up with right gradients: a hundred padded sentences, learned and asked by heart.",
        model="embedding 16, recurrent 16-16 sigmoid, out 83, with biases",
        data="babi: task 1, the first 1,000 training lines padded on the left; of these the first 100",
        settings={"steps": "1,000", "batch": "always rows 0 to 99", "learning rate": "0.05 on the sum"},
        published="share right 0.01, 0.28, 0.37, 0.37, 0.37 after every 200 steps, printed as per cent; no seed",
        defects=("B8", "B13", "B20", "B21"),
        source="babi",
        expected=(
            Expected("words", 83, equal, origin="book", needs_real_data=True),
            # Unseeded in the book, and a repetition of its code gave 0.35: a range.
            Expected("share right of the 100 rows learned", 0.37, within(0.05), origin="book", needs_real_data=True),
            Expected("share right of the 100 rows learned", 0.25, at_least, origin="goal"),
        ),
        run=_read_by_heart,
    ),
    Recipe(
        name="ch13-rnn-stories",
        chapter=13,
        section="The recurrent neural network layer",
        summary="Done right: all sentences, every next word, official test stories; as good as counting can be.",
        model="embedding 16, recurrent 64 tanh, with biases",
        data="babi: task 1, all training lines, measured on all test lines",
        settings={"epochs": str(_EPOCHS), "batch": str(_BATCH_SIZE), "optimiser": "Adam, 0.01, halved each epoch"},
        source="babi",
        expected=(
            Expected("share right, less that by counting", -0.01, at_least, origin="goal"),
            Expected("sentences written that a training story could have", 0.9, at_least, origin="goal"),
            Expected("different sentences written", 15, at_least, origin="goal"),
            Expected(
                'the six likeliest words after "mary moved to the"', _ROOMS, equal, origin="goal", needs_real_data=True
            ),
        ),
        run=_read_stories,
    ),
)
