"""What a client's training gives: the change of its parameters and the counts that go with it.

Sign: delta = client - server (new minus old), so that plain averaging is `server + mean(delta)`.

Example:
    >>> import numpy as np
    >>> update = ClientUpdate(np.array([0.5, -0.25]), num_examples=4, train_loss=0.25, train_accuracy=0.75)
    >>> update.is_finite
    True
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ClientUpdate"]


@dataclass(frozen=True, slots=True, eq=False)
class ClientUpdate:
    """One client's update of one round.

    Attributes:
        delta: (d,) array of the model's dtype, the client's parameters minus the server's.
        num_examples: how many examples the client has.
        train_loss: mean loss of a target (an example, or a position of a sequence) in the client's last epoch, while
            its weights changed.
        train_accuracy: share of targets predicted right in that epoch, 0 to 1.
    """

    delta: npt.NDArray[Any]
    num_examples: int
    train_loss: float
    train_accuracy: float

    @property
    def is_finite(self) -> bool:
        """Whether no element of the delta is NaN or infinite."""
        return bool(np.isfinite(self.delta).all())
