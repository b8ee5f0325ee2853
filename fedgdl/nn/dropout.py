"""Dropout: in training each element is left out with probability p and the others are scaled up to make up for it.

The layer owns no randomness. `model.train(rng)` hands it a stream (to a stack: one for each client), and
`model.eval()` turns it into the identity.

Example:
    >>> import numpy as np
    >>> layer = Dropout(0.5).train(np.random.default_rng(1))
    >>> layer(Tensor([1.0, 1.0, 1.0, 1.0]))
    Tensor([0., 2., 2., 2.], float64)
    >>> layer.eval()(Tensor([1.0, 1.0]))
    Tensor([1., 1.], float64)
"""

from collections.abc import Sequence

from fedgdl.autograd import Tensor, dropout
from fedgdl.errors import GraphError, ParameterError
from fedgdl.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """Zero with probability p and x / (1 - p) otherwise, independently for each element.

    Args:
        p: the probability of being left out, from 0 to below 1; with 0 nothing is drawn.

    Raises:
        ParameterError: p is no such probability.

    Source:
        Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks
        from Overfitting", JMLR 15, 2014; scaled while training ("inverted"), as PyTorch does.
    """

    draws = True

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p < 1:
            message = f"the probability of dropout must be from 0 to below 1, got {p}"
            raise ParameterError(message)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Returns x of the same shape, thinned out in training; in evaluation x itself.

        Raises:
            GraphError: in training, no stream was handed over.
        """
        if not self.training or not self.p:
            return x
        if self.rng is None:
            message = "Dropout has no stream to draw from: call model.train(rng) before training, or model.eval()"
            raise GraphError(message)
        rng = self.rng[: self.num_clients] if isinstance(self.rng, Sequence) else self.rng
        return dropout(x, self.p, rng)
