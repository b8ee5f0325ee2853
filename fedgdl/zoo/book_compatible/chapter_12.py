"""Chapter 12 as printed: the network that reads sentences, trained with the book's wrong gradients.

The error of each state is kept one place late: that of the scores made from a state is kept with the state after it.
Then it is read one place early: a word's vector gets what is kept with the state before the word was read. So a word is
blamed for guesses that were made before it was there, the last word too, which no guess depends on; the matrix gets
errors of the place before; and the start's went through the matrix once too often. The decoder alone is right. What the
network is, and its right gradients, are in `fedgdl.zoo.chapter_12_recurrent`.

Not for any use but to see the published numbers come about. With a sorted vocabulary the digits are the same in every
run, which the book's are not.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 12, companion notebook.

Example:
    >>> network = PrintedNetwork(np.zeros((9, 3)), np.ones((3, 9)))
    >>> round(network.read(np.array([4, 8])).loss, 4)  # twice the logarithm of 9
    4.3944
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.data.stories import load_stories
from fedgdl.progress import watched
from fedgdl.zoo.chapter_12_recurrent import (
    ALPHA,
    NUM_STEPS,
    PRINT_EVERY,
    BookSentences,
    corpus_perplexity,
    report,
    start_weights,
)
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_most, exactly, printed

__all__ = ["RECIPES", "PrintedNetwork", "Reading"]

_Ids = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

_QUICK_STEPS: Final = 8_001


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A sentence of T words, read.

    Attributes:
        states: (T + 1, D), before the first word and after each.
        probabilities: (T + 1, V), of the next word at each state.
        loss: the sum of the words' negative log-probabilities.
    """

    states: _Floats
    probabilities: _Floats
    loss: float


class PrintedNetwork:
    """The network of chapter 12 in plain NumPy, and its step as the book takes it.

    Args:
        words: (V, D), the words' vectors to start from; adopted.
        decoder: (D, V); adopted.
    """

    def __init__(self, words: _Floats, decoder: _Floats) -> None:
        size = words.shape[1]
        self.words, self.decoder = words, decoder
        self.recurrent, self.start = np.eye(size), np.zeros(size)

    def read(self, sentence: _Ids) -> Reading:
        """Returns the states and probabilities of a sentence (T,) of word ids."""
        states = np.empty((sentence.size + 1, self.start.size))
        states[0] = self.start
        for place, word in enumerate(sentence.tolist()):
            states[place + 1] = states[place] @ self.recurrent + self.words[word]
        scores = states @ self.decoder
        # The book's own trained softmax has this subtraction, as chapter 12's alone has.
        exps = np.exp(scores - scores.max(1, keepdims=True))
        probabilities = exps / exps.sum(1, keepdims=True)
        loss = -np.log(probabilities[np.arange(sentence.size), sentence]).sum()
        return Reading(states, probabilities, float(loss))

    def step(self, sentence: _Ids) -> float:
        """Takes the book's step on a sentence (T,), and returns its loss before."""
        reading, length, rate = self.read(sentence), sentence.size, ALPHA / sentence.size
        errors = reading.probabilities[:-1].copy()
        errors[np.arange(length), sentence] -= 1
        from_scores = errors @ self.decoder.T
        # Right would be: deltas[t], of states[t], is from_scores[t] plus deltas[t + 1] through the matrix.
        deltas = np.empty_like(reading.states)
        deltas[length] = from_scores[length - 1]
        for place in range(length - 1, 0, -1):
            deltas[place] = from_scores[place - 1] + deltas[place + 1] @ self.recurrent.T
        deltas[0] = deltas[1] @ self.recurrent.T
        self.start -= deltas[0] * rate
        self.decoder -= reading.states[:-1].T @ errors * rate
        # Right would be deltas[1:]: the error after a word was read.
        np.subtract.at(self.words, sentence, deltas[:-1] * rate)
        self.recurrent -= reading.states[:-1].T @ deltas[1:] * rate
        return reading.loss


def _learn(setting: Setting) -> Outcome:
    """Trains on one sentence a step with the book's gradients."""
    stories = load_stories(setting.data_root, allow_synthetic=setting.allow_synthetic)
    data = BookSentences(stories)
    network = PrintedNetwork(*start_weights(len(data.vocabulary)))
    perplexities = {}
    for step in watched(range(_QUICK_STEPS if setting.is_quick else NUM_STEPS), "ch12-recurrent-as-printed"):
        sentence = data.sentences[step % len(data.sentences)]
        loss = network.step(sentence)
        if step % PRINT_EVERY == 0:
            perplexities[step] = math.exp(loss / sentence.size)
    corpus = corpus_perplexity(data.sentences, lambda sentence: network.read(sentence).loss)
    probabilities = network.read(data.ids_of(("moved", "to", "the"))).probabilities
    guesses = [(data.vocabulary.word(int(row.argmax())), float(row.max())) for row in probabilities]
    measured, pictures = report(perplexities, corpus, guesses, data)
    return Outcome(measured, pictures, None, stories.description, stories.is_synthetic)


RECIPES: Final = (
    Recipe(
        name="ch12-recurrent-as-printed",
        chapter=12,
        section="Backpropagation with arbitrary length; Weight update with arbitrary length",
        summary="The same network with the book's gradients, which are a word late, then a word early.",
        model="82 words of 10, recurrent 10x10 (identity at first), learned start of 10, decoder 10x82, no activation",
        data="babi: the first 1,000 training lines of task 1, without their first words",
        settings={
            "alpha": str(ALPHA),
            "steps": f"{NUM_STEPS:,}, one sentence each; quick: {_QUICK_STEPS:,}",
            "gradient": "the book's, divided by the sentence's length",
            "start": "words, then decoder, even within 0.05 of 0, seed 1",
        },
        published="perplexity of the first sentence 82.09 at first, 4.02 at step 29,000; the digits depend on the "
        "order of a set, which is sorted here",
        defects=("B17", "B20"),
        is_book_compatible=True,
        source="babi",
        expected=(
            # An independent run of the published algorithm with a sorted vocabulary.
            Expected("perplexity at step 0", 81.94009027613271, exactly, "derived", needs_real_data=True),
            Expected("perplexity at step 8,000", 37.531888088403946, exactly, "derived", needs_real_data=True),
            Expected(
                "perplexity at step 29,000", 4.192771209619761, exactly, "derived", is_quick=False, needs_real_data=True
            ),
            Expected(
                "perplexity of all sentences", 5.8360, printed(4), "derived", is_quick=False, needs_real_data=True
            ),
            Expected("share left of the first sentence's perplexity", 0.6, at_most, "goal"),
        ),
        run=_learn,
        seconds=(1.0, 3.0),
    ),
)
