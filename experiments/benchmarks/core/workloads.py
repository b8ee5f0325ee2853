"""The fourteen rows of `fedgdl bench core`: small models of the sizes on which federated learning is studied.

The data are drawn at random in the shapes of the real ones; words as often as Zipf's law says.

Source:
    `mcmahan-*`: H. B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Aguera y Arcas, Communication-Efficient
    Learning of Deep Networks from Decentralized Data, AISTATS 2017, section 3 (1,663,370 parameters).
    The other models: Andrew W. Trask, Grokking Deep Learning, 2019, chapters 8 to 15.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.core.workload import QUESTION_STEPS, WINDOW_STEPS, Batch, Weights, Workload
from experiments.benchmarks.words import draw_bags

__all__ = ["WORKLOADS"]

_PIXELS: Final = 28
_DIGITS: Final = 10
_SPAM_WORDS: Final = 40_000
_SPAM_BAG_SIZES: Final = (20, 200)
_REVIEW_WORDS: Final = 75_000
_REVIEW_WIDTH: Final = 100
_CHARACTERS: Final = 62
_CHARACTER_WIDTH: Final = 512
_ANSWER_WORDS: Final = 82
_ANSWER_WIDTH: Final = 16

_Shapes = dict[str, tuple[int, ...]]
_Rng = np.random.Generator


def _uniform(shapes: _Shapes) -> Callable[[_Rng], Weights]:
    """Returns a drawer of biases within 0.1, and of weights within 1 / sqrt(product of all sides but the last)."""

    def draw(rng: _Rng) -> Weights:
        weights = {}
        for name, shape in shapes.items():
            limit = 1 / math.sqrt(math.prod(shape[:-1])) if len(shape) > 1 else 0.1
            weights[name] = limit * (2 * rng.random(shape, np.float32) - 1)
        return weights

    return draw


def _dense_shapes(inputs: int, width: int, outputs: int) -> _Shapes:
    return {
        "hidden.weight": (inputs, width),
        "hidden.bias": (width,),
        "output.weight": (width, outputs),
        "output.bias": (outputs,),
    }


def _images(batch_size: int, *shape: int) -> Callable[[_Rng], Batch]:
    def draw(rng: _Rng) -> Batch:
        return rng.random((batch_size, *shape), np.float32), rng.integers(_DIGITS, size=batch_size)

    return draw


def _one_hot_images(rng: _Rng) -> Batch:
    images, digits = _images(1, _PIXELS * _PIXELS)(rng)
    return images, np.eye(_DIGITS, dtype=np.float32)[digits]


def _bags(vocabulary_size: int, sizes: Callable[[_Rng], npt.NDArray[np.int64]]) -> Callable[[_Rng], Batch]:
    def draw(rng: _Rng) -> Batch:
        token_ids, offsets = draw_bags(rng, vocabulary_size, sizes(rng))
        return token_ids, offsets, (np.arange(offsets.size - 1) % 2).astype(np.float32)

    return draw


def _windows(words: int, steps: int, batch_size: int, width: int, *, answers: int) -> Callable[[_Rng], Batch]:
    """Returns a drawer of (ids (T, B), start state (B, H), class ids of the last `answers` steps)."""

    def draw(rng: _Rng) -> Batch:
        ids = rng.integers(words, size=(steps, batch_size))
        state = rng.random((batch_size, width), np.float32) - 0.5
        return ids, state, rng.integers(words, size=(answers, batch_size))

    return draw


def _mlp(name: str, batch_size: int) -> Workload:
    return Workload(
        name=name,
        model="mlp",
        what=f"MLP 784-100-10, tanh, softmax cross-entropy, batch {batch_size}",
        batch_size=batch_size,
        learning_rate=0.1,
        draw_weights=_uniform(_dense_shapes(_PIXELS**2, 100, _DIGITS)),
        draw_batch=_images(batch_size, _PIXELS * _PIXELS),
    )


def _mcmahan(batch_size: int) -> Workload:
    shapes: _Shapes = {
        "first.weight": (5, 5, 1, 32),
        "first.bias": (32,),
        "second.weight": (5, 5, 32, 64),
        "second.bias": (64,),
        "hidden.weight": (7 * 7 * 64, 512),
        "hidden.bias": (512,),
        "output.weight": (512, _DIGITS),
        "output.bias": (_DIGITS,),
    }
    return Workload(
        name=f"mcmahan-b{batch_size}",
        model="mcmahan-cnn",
        what=f"CNN of McMahan et al. 2017: 5x5x32, 5x5x64, each pooled 2x2, dense 512, relu, batch {batch_size}",
        batch_size=batch_size,
        learning_rate=0.05,
        draw_weights=_uniform(shapes),
        draw_batch=_images(batch_size, _PIXELS, _PIXELS, 1),
    )


def _reviews(batch_size: int, sizes: Callable[[_Rng], npt.NDArray[np.int64]], ids: str) -> Workload:
    shapes: _Shapes = {
        "words.weight": (_REVIEW_WORDS, _REVIEW_WIDTH),
        "output.weight": (_REVIEW_WIDTH, 1),
        "output.bias": (1,),
    }

    def draw(rng: _Rng) -> Weights:
        weights = _uniform(shapes)(rng)
        weights["words.weight"] = 0.1 * (rng.random((_REVIEW_WORDS, _REVIEW_WIDTH), np.float32) - 0.5)
        return weights

    return Workload(
        name=f"imdb-b{batch_size}",
        model="sentiment-bag",
        what=f"bag of {_REVIEW_WORDS:,} x {_REVIEW_WIDTH}, sigmoid, dense 1, sigmoid cross-entropy, "
        f"batch {batch_size} ({ids} ids)",
        batch_size=batch_size,
        learning_rate=0.05,
        draw_weights=draw,
        draw_batch=_bags(_REVIEW_WORDS, sizes),
    )


def _characters(name: str, cell: str, gates: int) -> Workload:
    width, words = _CHARACTER_WIDTH, _CHARACTERS
    shapes: _Shapes = {
        "embedding.weight": (words, width),
        "recurrent.weight_ih": (width, gates * width),
        "recurrent.weight_hh": (width, gates * width),
        "recurrent.bias": (gates * width,),
        "output.weight": (width, words),
        "output.bias": (words,),
    }
    return Workload(
        name=name,
        model="char-lstm" if gates == 4 else "char-rnn",
        what=f"{cell} {width}, {words} characters embedded in {width}, {WINDOW_STEPS} steps, batch 32, "
        "softmax cross-entropy at each step",
        batch_size=32,
        learning_rate=1.0,
        draw_weights=_uniform(shapes),
        draw_batch=_windows(words, WINDOW_STEPS, 32, width, answers=WINDOW_STEPS),
    )


def _answers(batch_size: int) -> Workload:
    width, words = _ANSWER_WIDTH, _ANSWER_WORDS
    shapes: _Shapes = {
        "embedding.weight": (words, width),
        "recurrent.weight_ih": (width, width),
        "recurrent.weight_hh": (width, width),
        "recurrent.bias": (width,),
        "output.weight": (width, words),
        "output.bias": (words,),
    }
    return Workload(
        name=f"babi-b{batch_size}",
        model="answer-rnn",
        what=f"RNN {width}, sigmoid, {words} words embedded in {width}, {QUESTION_STEPS} steps, batch {batch_size}, "
        "softmax cross-entropy at the last step",
        batch_size=batch_size,
        learning_rate=1.0,
        draw_weights=_uniform(shapes),
        draw_batch=_windows(words, QUESTION_STEPS, batch_size, width, answers=1),
    )


def _spread(rng: _Rng) -> npt.NDArray[np.int64]:
    """Returns the sizes of 32 reviews as unequal as real ones: 8,399 ids in all."""
    shortest = 40
    shares = rng.dirichlet(np.full(32, 3.0))
    return shortest + rng.multinomial(8_399 - 32 * shortest, shares)


WORKLOADS: Final = (
    _mlp("mlp-b100", 100),
    _mlp("mlp-b10", 10),
    _mlp("mlp-b1", 1),
    Workload(
        name="relu-mlp-b1",
        model="relu-mlp",
        what="MLP 784-40-10, relu, mean squared error, batch 1",
        batch_size=1,
        learning_rate=0.1,
        draw_weights=_uniform(_dense_shapes(_PIXELS**2, 40, _DIGITS)),
        draw_batch=_one_hot_images,
    ),
    Workload(
        name="cnn-b128",
        model="cnn",
        what="CNN: 3x3x16 on 28x28, tanh, dense 10816-10, softmax cross-entropy, batch 128",
        batch_size=128,
        learning_rate=0.01,
        draw_weights=_uniform(
            {
                "convolution.weight": (3, 3, 1, 16),
                "convolution.bias": (16,),
                "output.weight": (26 * 26 * 16, _DIGITS),
                "output.bias": (_DIGITS,),
            }
        ),
        draw_batch=_images(128, _PIXELS, _PIXELS, 1),
    ),
    _mcmahan(10),
    _mcmahan(50),
    Workload(
        name="spam-b500",
        model="spam-bag",
        what=f"bag of {_SPAM_WORDS:,} x 1, sigmoid, squared error, batch 500 (about 110 ids each)",
        batch_size=500,
        learning_rate=0.01,
        draw_weights=lambda _: {"words.weight": np.zeros((_SPAM_WORDS, 1), np.float32)},
        draw_batch=_bags(_SPAM_WORDS, lambda rng: rng.integers(*_SPAM_BAG_SIZES, size=500, endpoint=True)),
    ),
    _reviews(1, lambda _: np.full(1, 283), "283"),
    _reviews(32, _spread, "8,399"),
    _characters("char-rnn", "RNN", 1),
    _characters("char-lstm", "LSTM", 4),
    _answers(100),
    _answers(250),
)
"""Every row, in the order in which they are shown."""
