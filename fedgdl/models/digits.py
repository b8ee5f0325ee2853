"""Readers of digits: a network of dense layers, and a convolutional one.

Both give a score for each of ten classes; softmax turns scores into probabilities, which the loss does by itself.
Hidden layers start from He's values, which keep the scale of what passes through rectifiers.

Not here: the images (`fedgdl.data`), and how bright a pixel is (models take floats, 0 to 1).

Example:
    >>> rng = np.random.default_rng(1)
    >>> images = np.zeros((5, 28, 28), "float32")
    >>> dense, convolutional = DigitsMlp(rng=rng), DigitsCnn(rng=rng)
    >>> dense(images).shape, convolutional(images).shape
    ((5, 10), (5, 10))
    >>> dense.flatten().layout.size, convolutional.flatten().layout.size
    (199210, 1663370)
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from fedgdl.autograd import Tensor
from fedgdl.autograd.tensor import Array
from fedgdl.errors import ParameterError
from fedgdl.nn import Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, init
from fedgdl.parameters import DType

__all__ = ["CLASSES", "SIDE", "DigitsCnn", "DigitsMlp"]

SIDE: Final = 28
"""Pixels along each side of an image."""

CLASSES: Final = 10

_KERNEL: Final = 5
_PADDING: Final = _KERNEL // 2
"""Keeps the side of what a convolution is given."""


class DigitsMlp(Sequential):
    """Dense layers with rectifiers between them.

    Args:
        hidden: the units of each hidden layer; (200, 200) is McMahan's "2NN" of 199,210 parameters.
        dropout: the share of each hidden layer's values that training sets to zero.
        rng: draws the initial values.
        dtype: `"float32"` or `"float64"`.

    Raises:
        ParameterError: a size is not positive, or `dropout` is no share.

    Source:
        McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
        Decentralized Data", AISTATS 2017, section 3.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (200, 200),
        dropout: float = 0.0,
        *,
        rng: np.random.Generator,
        dtype: DType = "float32",
    ) -> None:
        super().__init__(Flatten(), *_dense(SIDE * SIDE, hidden, dropout, rng, dtype))

    def forward(self, x: Any) -> Tensor:  # noqa: ANN401 (an array, as of any `Sequential`)
        """Returns the scores of the ten digits, (n, 10), in a stack (K, n, 10).

        Args:
            x: images (n, 28, 28) of the model's dtype, in a stack (K, n, 28, 28).

        Raises:
            GraphError: the images have another shape or dtype.
        """
        scores: Tensor = super().forward(x)
        return scores


class DigitsCnn(Module):
    """Two convolutions of 5 x 5, each with a rectifier and 2 x 2 max pooling, and dense layers behind them.

    Convolutions keep the side of the image (zeros around it), so pooling leaves 14 x 14 and 7 x 7 pixels.

    Args:
        hidden: the channels of the two convolutions, then the units of the dense hidden layers, if any; (32, 64, 512)
            is McMahan's network of 1,663,370 parameters.
        dropout: the share of each dense hidden layer's values that training sets to zero.
        rng: draws the initial values.
        dtype: `"float32"` or `"float64"`.

    Raises:
        ParameterError: there are fewer than two sizes, one is not positive, or `dropout` is no share.

    Source:
        McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
        Decentralized Data", AISTATS 2017, section 3.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (32, 64, 512),
        dropout: float = 0.0,
        *,
        rng: np.random.Generator,
        dtype: DType = "float32",
    ) -> None:
        if len(hidden) < 2:
            message = f"the sizes of a convolutional network are two of channels, then of dense layers; got {hidden}"
            raise ParameterError(message)
        first, second, *units = hidden
        start: dict[str, Any] = {"rng": rng, "initial": init.kaiming_normal, "dtype": dtype}
        self.features = Sequential(
            Conv2d(1, first, _KERNEL, padding=_PADDING, **start),
            ReLU(),
            MaxPool2d(2),
            Conv2d(first, second, _KERNEL, padding=_PADDING, **start),
            ReLU(),
            MaxPool2d(2),
            Flatten(),
        )
        self.classifier = Sequential(*_dense((SIDE // 4) ** 2 * second, units, dropout, rng, dtype))

    def forward(self, images: Array) -> Tensor:
        """Returns the scores of the ten digits, (n, 10), in a stack (K, n, 10).

        Args:
            images: (n, 28, 28) of the model's dtype, in a stack (K, n, 28, 28).

        Raises:
            GraphError: the images have another shape or dtype.
        """
        scores: Tensor = self.classifier(self.features(images[..., np.newaxis]))
        return scores


def _dense(
    inputs: int, hidden: Sequence[int], dropout: float, rng: np.random.Generator, dtype: DType
) -> Iterator[Module]:
    """Yields the layers of a dense classifier."""
    for units in hidden:
        yield Linear(inputs, units, rng=rng, initial=init.kaiming_normal, dtype=dtype)
        yield ReLU()
        if dropout:
            yield Dropout(dropout)
        inputs = units
    yield Linear(inputs, CLASSES, rng=rng, dtype=dtype)
