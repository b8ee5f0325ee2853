"""Layers that only give the elements another shape.

Example:
    >>> import numpy as np
    >>> Flatten()(Tensor(np.zeros((2, 4, 4, 3)))).shape
    (2, 48)
"""

import math

from fedgdl.autograd import Tensor, reshape
from fedgdl.nn.module import Module

__all__ = ["Flatten"]


class Flatten(Module):
    """All axes of an example as one, in their order."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, ...) as (N, F), in a stack (K, N, ...) as (K, N, F); x without an axis of its own gets one."""
        shape = x.data.shape
        kept = 1 if self.num_clients is None else 2
        return reshape(x, (*shape[:kept], math.prod(shape[kept:])))
