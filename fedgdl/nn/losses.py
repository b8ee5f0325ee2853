"""What is minimised: losses, as modules with a choice of mean, sum or none.

In a stack (`loss.stack(K)`) each client has a loss of its own, shape (K,), reduced over its own elements alone;
`losses.backward(1.0)` starts each client's gradient as `backward()` does for a client alone. The model may have been
narrowed by `activate` meanwhile: fewer clients than the loss was stacked for are right, more are refused.

Example:
    >>> MSELoss(reduction="sum")(Tensor([0.5, 0.5]), Tensor([1.0, 0.0]))
    Tensor(0.5, float64)
    >>> MSELoss().stack(2)(Tensor([[0.5, 0.5], [1.0, 1.0]]), Tensor([[1.0, 0.0], [1.0, 1.0]]))
    Tensor([0.25, 0.  ], float64)
"""

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor, sigmoid_cross_entropy, softmax_cross_entropy, squared_error
from fedgdl.autograd.loss import Reduction
from fedgdl.autograd.tensor import Array
from fedgdl.errors import GraphError
from fedgdl.nn.module import Module

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss"]


class _Loss(Module):
    """What the losses share: the reduction, and the check of a stack's height."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            message = f'reduction is "mean", "sum" or "none", not {reduction!r}'
            raise GraphError(message)
        self.reduction: Reduction = reduction

    def _is_per_client(self, outputs: Tensor) -> bool:
        """Tells whether each client is to have a loss of its own.

        Raises:
            GraphError: there are more of them than this loss was stacked for.
        """
        if self.num_clients is None:
            return False
        shape = getattr(outputs, "shape", ())  # what is no array is refused by the operation
        if shape and shape[0] > self.num_clients:
            message = (
                f"{type(self).__name__}: stacked for {self.num_clients} clients, it expects outputs (K, ...) "
                f"of {self.num_clients} or fewer, got shape {shape}; one model takes the loss before `stack`"
            )
            raise GraphError(message)
        return True


class MSELoss(_Loss):
    """The squared error, averaged or summed over all elements, or as it is.

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        GraphError: the reduction is none of the three.
    """

    def forward(self, prediction: Tensor, target: Tensor | Array) -> Tensor:
        """Returns the loss: shape (), in a stack (K,), unreduced (...).

        Args:
            prediction: (...), in a stack (K, ...).
            target: of exactly the prediction's shape and dtype.

        Raises:
            GraphError: shapes or dtypes differ, there are more clients than the loss was stacked for, or a mean over no
                elements is asked for.
        """
        return squared_error(prediction, target, self.reduction, per_client=self._is_per_client(prediction))


class BCEWithLogitsLoss(_Loss):
    """The binary cross-entropy of scores before their sigmoid, averaged or summed over all elements, or as it is.

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        GraphError: the reduction is none of the three.
    """

    def forward(self, logits: Tensor, targets: Tensor | Array) -> Tensor:
        """Returns the loss: shape (), in a stack (K,), unreduced (...).

        Args:
            logits: (...), in a stack (K, ...).
            targets: the probabilities of a yes, 0 to 1, of exactly the logits' shape and dtype.

        Raises:
            GraphError: shapes or dtypes differ, there are more clients than the loss was stacked for, or a mean over no
                elements is asked for.
        """
        return sigmoid_cross_entropy(logits, targets, self.reduction, per_client=self._is_per_client(logits))


class CrossEntropyLoss(_Loss):
    """The cross-entropy of scores before their softmax, averaged or summed over all examples, or as it is.

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        GraphError: the reduction is none of the three.
    """

    def forward(self, logits: Tensor, class_ids: npt.NDArray[np.int64]) -> Tensor:
        """Returns the loss: shape (), in a stack (K,), unreduced (...).

        Args:
            logits: (..., C), in a stack (K, ..., C); the classes are the last axis (PyTorch's second).
            class_ids: (...) int64, 0 to C - 1.

        Raises:
            GraphError: shapes, dtypes or ids do not fit, there are more clients than the loss was stacked for, or a
                mean over no examples is asked for.
        """
        return softmax_cross_entropy(logits, class_ids, self.reduction, per_client=self._is_per_client(logits))
