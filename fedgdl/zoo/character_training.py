"""Trains a character model on one long text: the text as parallel streams, in windows, the state carried along.

Backpropagation through time is cut off at each window's beginning, where the carried state counts as a constant.

Not here: the models (`fedgdl.models.characters`), the recipes (`chapter_14_characters`), federations of writers.

Source:
    The cut-off: Williams, Peng, "An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network
    Trajectories", Neural Computation 2, 1990, section 3, with as many steps forward as back.

Example:
    >>> inputs, targets = windows(np.arange(9), num_streams=2, num_steps=3)
    >>> inputs[0].T, targets[0].T
    (array([[0, 1, 2],
           [4, 5, 6]]), array([[1, 2, 3],
           [5, 6, 7]]))
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import no_grad
from fedgdl.errors import DataError
from fedgdl.models import CharacterModel
from fedgdl.models.characters import State
from fedgdl.models.sampling import detach
from fedgdl.nn import CrossEntropyLoss
from fedgdl.optim import Optimizer, clip_grad_norm

__all__ = ["Ids", "pair_perplexity", "perplexity", "train_epoch", "windows"]

Ids = npt.NDArray[np.int64]

_READ_AT_ONCE: Final = 500
"""Characters whose scores are kept at a time when a text is only read."""


def windows(ids: npt.NDArray[np.integer[Any]], num_streams: int, num_steps: int) -> tuple[Ids, Ids]:
    """Cuts a text into streams of equal length, and these into whole windows.

    Args:
        ids: (n,) the text's characters.
        num_streams: B, how many parts of the text are read side by side.
        num_steps: T, how many characters of each a window has.

    Returns:
        The characters read and those that follow, (windows, T, B) each. What does not fill a stream or a window is
        left out.

    Raises:
        DataError: the text is too short for a single window.
    """
    length = len(ids) // num_streams
    num_windows = (length - 1) // num_steps if length else 0
    if num_windows < 1:
        message = f"a text of {len(ids)} characters is too short for {num_streams} streams of {num_steps} + 1 of them"
        raise DataError(message)
    streams = ids[: num_streams * length].astype(np.int64).reshape(num_streams, length).T
    shape, end = (num_windows, num_steps, num_streams), num_windows * num_steps
    return np.ascontiguousarray(streams[:end]).reshape(shape), np.ascontiguousarray(streams[1 : end + 1]).reshape(shape)


def train_epoch(
    model: CharacterModel,
    optimizer: Optimizer,
    inputs: Ids,
    targets: Ids,
    *,
    loss: CrossEntropyLoss,
    max_norm: float,
    start: State | None = None,
    after_window: Callable[[float], None] = lambda mean_loss: None,  # noqa: ARG005
) -> float:
    """Trains on each window once, in the order of the text, and returns the perplexity of the epoch.

    That perplexity is collected while the model learns, before each window's step.

    Args:
        model: predicts all T steps of a window.
        optimizer: takes a step after each window.
        inputs: (windows, T, B) characters read.
        targets: (windows, T, B) characters that follow.
        loss: the reduction of the T B losses of a window: `"sum"` or `"mean"`.
        max_norm: the gradients' norm is clipped to it.
        start: the state before the first window; empty when left out.
        after_window: is told each window's mean loss.

    Raises:
        GraphError: the loss has become infinite.
    """
    state, total, size = start, 0.0, inputs[0].size
    for window, goals in zip(inputs, targets, strict=True):
        scores, state = model(window, state)
        losses = loss(scores, goals)
        losses.backward()
        clip_grad_norm(optimizer.parameters, max_norm)
        optimizer.step()
        state = detach(state)
        mean = losses.item() / (size if loss.reduction == "sum" else 1)
        after_window(mean)
        total += mean
    return math.exp(total / len(inputs))


def perplexity(model: CharacterModel, ids: npt.NDArray[np.integer[Any]]) -> float:
    """Returns the perplexity of a text that the model reads from its beginning to its end.

    Args:
        model: is not changed.
        ids: (n,) the text's characters, at least two; the first is read and not guessed.
    """
    text, state, total, entropy = ids.astype(np.int64)[:, np.newaxis], None, 0.0, CrossEntropyLoss("sum")
    with no_grad():
        for begin in range(0, len(text) - 1, _READ_AT_ONCE):
            end = min(begin + _READ_AT_ONCE, len(text) - 1)
            scores, state = model(text[begin:end], state)
            total += entropy(scores, text[begin + 1 : end + 1]).item()
    return math.exp(total / (len(text) - 1))


def pair_perplexity(train: npt.NDArray[np.integer[Any]], test: npt.NDArray[np.integer[Any]], num_ids: int) -> float:
    """Returns the perplexity of a text by counts of pairs in another: what to know of one character before is worth.

    Every pair counts once more than it came, so that none is impossible.

    Args:
        train: (n,) characters to count in.
        test: (m,) characters to be guessed, from the second on.
        num_ids: V, how many characters there are.
    """
    counts = np.ones((num_ids, num_ids))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    logs = np.log(counts) - np.log(counts.sum(axis=1, keepdims=True))
    return math.exp(-float(logs[test[:-1], test[1:]].mean()))
