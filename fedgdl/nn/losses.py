"""What is minimised: losses, as modules with a choice of sum or mean.

Example:
    >>> MSELoss(reduction="sum")(Tensor([0.5, 0.5]), Tensor([1.0, 0.0]))
    Tensor(0.5, float64)
"""

from typing import Any, Literal

import numpy.typing as npt

from fedgdl.autograd import Tensor, squared_error
from fedgdl.errors import GraphError
from fedgdl.nn.module import Module

__all__ = ["MSELoss"]


class MSELoss(Module):
    """The squared error, averaged or summed over all elements.

    Args:
        reduction: `"mean"` or `"sum"`.

    Raises:
        GraphError: the reduction is neither of the two.
    """

    def __init__(self, reduction: Literal["mean", "sum"] = "mean") -> None:
        if reduction not in ("mean", "sum"):
            message = f'reduction is "mean" or "sum", not {reduction!r}'
            raise GraphError(message)
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor | npt.NDArray[Any]) -> Tensor:
        """Returns the loss, shape ().

        Args:
            prediction: (...).
            target: (...) of exactly the prediction's shape and dtype.

        Raises:
            GraphError: shapes or dtypes differ, or a mean over no elements is asked for.
        """
        total = squared_error(prediction, target)
        if self.reduction == "sum":
            return total
        if prediction.size == 0:
            message = f"MSELoss: there is no mean of a prediction of shape {prediction.shape}"
            raise GraphError(message)
        return total * (1 / prediction.size)
