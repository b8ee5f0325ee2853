"""Chapter 12, its toys: sums through matrices that change nothing, and one step of learning by hand and by the core.

Not here: averaged word vectors (`chapter_12_averages`), the network that reads sentences of any length
(`chapter_12_recurrent`), of which the toys use the same module.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 12, companion notebook.

Example:
    >>> from fedgdl.zoo.recipe import Setting, compare
    >>> {row.status for recipe in RECIPES for row in compare(recipe, recipe.run(Setting()), Setting())}
    {'met'}
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter, Tensor, no_grad, softmax, softmax_cross_entropy
from fedgdl.optim import SGD
from fedgdl.seeding import stream
from fedgdl.zoo.chapter_12_recurrent import TransitionNetwork
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_least, at_most, equal, exactly

__all__ = ["RECIPES"]

_WORDS: Final = ("yankees", "bears", "braves", "red", "socks", "lose", "defeat", "beat", "tie")
_READ: Final = np.array([_WORDS.index(word) for word in ("red", "socks", "defeat")])
_TARGET: Final = _WORDS.index("yankees")
_SIZE: Final = 3
_ALPHA: Final = 0.01


def _network() -> TransitionNetwork:
    """Returns a network whose nine words are zeros and whose decoder is drawn: any would do."""
    decoder = stream(0, "decoder").random((_SIZE, len(_WORDS)))
    return TransitionNetwork(np.zeros((len(_WORDS), _SIZE)), decoder)


def _add_through_identities(setting: Setting) -> Outcome:  # noqa: ARG001 (nothing to make quicker)
    """Adds three vectors, once as they are and once through an identity matrix before each sum."""
    identity = Tensor(np.eye(_SIZE))
    words = [Tensor([values]) for values in ((2.0, 4.0, 6.0), (10.0, 10.0, 10.0), (1.0, 1.0, 1.0))]
    through = (words[0] @ identity + words[1]) @ identity + words[2]
    plain = words[0] + words[1] + words[2]
    return Outcome(
        {
            "sum through identity matrices": tuple(through.data[0].tolist()),
            "plain sum": tuple(plain.data[0].tolist()),
        }
    )


def _read_zeros(setting: Setting) -> Outcome:  # noqa: ARG001
    """Reads "red socks defeat" with words of zeros: the decoder sees nothing, and each word is as likely."""
    with no_grad():
        probabilities = softmax(_network()(_READ)).data[-1]
    return Outcome({"probabilities of the next word": tuple(probabilities.tolist())})


def _learn_one_word(setting: Setting) -> Outcome:  # noqa: ARG001
    """Learns one step of "red socks defeat yankees", and compares each gradient with the one found by hand."""
    network = _network()
    optimizer = SGD(network.parameters(), lr=_ALPHA)
    loss = softmax_cross_entropy(network(_READ)[-1:], np.array([_TARGET]))
    loss.backward()
    # By hand: the scores' error, back through the decoder, is the error of the last state; as the matrices between
    # the states are identities, it is that of every word read, too. The states are zeros: the others' errors are 0.
    error = np.full(len(_WORDS), 1 / len(_WORDS))
    error[_TARGET] -= 1
    at_state = network.decoder.data @ error
    by_hand = {name: np.zeros(parameter.shape) for name, parameter in network.named_parameters()}
    by_hand["words"][_READ] = by_hand["start"][0] = at_state
    differences = [
        float(np.abs(_gradient(parameter) - by_hand[name]).max()) for name, parameter in network.named_parameters()
    ]
    optimizer.step()
    with no_grad():
        after = softmax(network(_READ)).data[-1, _TARGET]
    return Outcome(
        {
            "largest difference of a gradient from the one by hand": max(differences),
            "probability of yankees before": float(np.exp(-loss.item())),
            "rise of the probability of yankees": float(after) - float(np.exp(-loss.item())),
        },
        parameters=network.flatten(),
    )


def _gradient(parameter: Parameter) -> npt.NDArray[np.floating]:
    """Returns a parameter's gradient as an array."""
    gradient = parameter.grad
    if gradient is None:
        return np.zeros(parameter.shape)
    return gradient if isinstance(gradient, np.ndarray) else gradient.to_dense()


RECIPES: Final = (
    Recipe(
        name="ch12-identity-matrices",
        chapter=12,
        section="Matrices that change absolutely nothing",
        summary="A sum of word vectors is the same with an identity matrix before each step.",
        model="3x3 identity",
        data="three vectors: [2, 4, 6], [10, 10, 10], [1, 1, 1]",
        settings={},
        published="[13, 15, 17] with and without the matrices",
        expected=(
            Expected("sum through identity matrices", (13.0, 15.0, 17.0), equal, "book"),
            Expected("plain sum", (13.0, 15.0, 17.0), equal, "book"),
        ),
        run=_add_through_identities,
    ),
    Recipe(
        name="ch12-forward",
        chapter=12,
        section="Forward propagation in Python",
        summary="With words of zeros the network has no opinion: each of nine words is equally likely.",
        model="9 words of 3, 3x3 identity, decoder 3x9",
        data="the sentence: red socks defeat",
        settings={"words": "zeros", "decoder": "drawn"},
        published="every probability is 0.11111111",
        expected=(Expected("probabilities of the next word", (1 / 9,) * 9, exactly, "book"),),
        run=_read_zeros,
    ),
    Recipe(
        name="ch12-backpropagation",
        chapter=12,
        section="How do you backpropagate into this?; Let's train it!",
        summary="One step towards the word that follows: the core's gradients are those found by hand.",
        model="9 words of 3, 3x3 identity, decoder 3x9",
        data="the sentence: red socks defeat yankees",
        settings={"alpha": str(_ALPHA), "steps": "1"},
        expected=(
            # Sums of nine products of numbers below 1: a few units of 1e-16.
            Expected("largest difference of a gradient from the one by hand", 1e-14, at_most, "derived"),
            Expected("probability of yankees before", 1 / 9, exactly, "derived"),
            Expected("rise of the probability of yankees", 0.001, at_least, "goal"),
        ),
        run=_learn_one_word,
    ),
)
