"""Chapter 13 with its defects: the cross-entropy whose gradient is not that of its loss.

The book's loss is a mean over the words, its gradient that of their sum, and it takes no notice of what follows the
loss: three times the loss has the gradient of the loss. The right layer is in `fedgdl.nn`; `ch13-cross-entropy`
reproduces the same losses with it.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 13, companion notebook.

Example:
    >>> logits = Tensor(np.zeros((2, 2)), requires_grad=True)
    >>> (3.0 * cross_entropy(logits, np.array([0, 1]))).backward()
    >>> logits.grad  # right would be 3 / 2 of it
    array([[-0.5,  0.5],
           [ 0.5, -0.5]])
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl import nn
from fedgdl.autograd import Tensor, record
from fedgdl.zoo.book_draws import given
from fedgdl.zoo.chapter_13 import descend, learned, weights_of
from fedgdl.zoo.chapter_13_layers import CLASS_LOSSES, CLASS_START, CLASSES, WORD_IDS, class_weights
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, exactly

__all__ = ["RECIPES", "cross_entropy"]


def cross_entropy(logits: Tensor, class_ids: npt.NDArray[np.int64]) -> Tensor:
    """(n, C), (n,) -> (): the mean of -log softmax(logits)[class id], with the gradient of the sum, whatever arrives.

    As in the book, the exponentials are taken of the logits as they are.
    """
    exps = np.exp(logits.data)
    probabilities = exps / exps.sum(axis=1, keepdims=True)
    one_hot = np.eye(logits.shape[1])[class_ids]
    losses = -(np.log(probabilities) * one_hot).sum(axis=1)
    return record(losses.mean(), (logits,), lambda _: logits.receive(probabilities - one_hot))


def _train(setting: Setting) -> Outcome:  # noqa: ARG001 (nothing to make quicker)
    table, out = class_weights()
    model = nn.Sequential(
        nn.Embedding(3, 3, initial=given(table), dtype="float64"),
        nn.Tanh(),
        nn.Linear(3, 4, initial=given(out), dtype="float64"),
    )
    ratios = []
    for loss_of in (cross_entropy, nn.CrossEntropyLoss()):
        norms = []
        for factor in (1.0, 3.0):
            logits = Tensor(model(WORD_IDS).data, requires_grad=True)
            (factor * loss_of(logits, CLASSES)).backward()
            norms.append(float(np.linalg.norm(np.asarray(logits.grad))))
        ratios.append(norms[1] / norms[0])
    start = weights_of(model)
    losses = descend(model, lambda: cross_entropy(model(WORD_IDS), CLASSES), 0.1)
    outcome = learned("Cross-entropy with the book's gradient", start, losses, model)
    gradients = {
        "gradient of 3 x loss, as a multiple of that of the loss": ratios[0],
        "the same with the library's cross-entropy": ratios[1],
    }
    return Outcome({**outcome.measured, **gradients}, outcome.pictures, outcome.parameters)


RECIPES: Final = (
    Recipe(
        name="ch13-cross-entropy-as-printed",
        chapter=13,
        section="The cross-entropy layer",
        summary="The book's own cross-entropy: a mean whose gradient is that of the sum, whatever is done with it.",
        model="embedding 3 x 3, tanh, 3-4, with a bias",
        data="the words 1, 2, 1, 2 of classes 0, 1, 0, 1",
        settings={"steps": "10", "learning rate": "0.1", "loss": "mean, with the gradient of the sum"},
        published="losses 1.3885032434928422 to 0.16527389263866668 in ten steps",
        defects=("B8", "B9"),
        is_book_compatible=True,
        expected=(
            Expected("start weights", CLASS_START, exactly, origin="derived"),
            Expected("losses", CLASS_LOSSES, exactly, origin="book"),
            Expected("gradient of 3 x loss, as a multiple of that of the loss", 1.0, exactly, origin="derived"),
            Expected("the same with the library's cross-entropy", 3.0, exactly, origin="derived"),
        ),
        run=_train,
    ),
)
