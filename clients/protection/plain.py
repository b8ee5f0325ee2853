"""No protection: the coordinator reads every client's update. The book's first setting.

Not protected against: anyone who sees the payload, the coordinator first of all. The attack
`fedgdl attack words` reads a client's e-mail out of it.

Example:
    >>> import numpy as np
    >>> from fedgdl.federated import ClientUpdate
    >>> update = ClientUpdate(np.array([0.5]), num_examples=2, train_loss=0.25, train_accuracy=1.0)
    >>> payload = PlainProtection().protect(update, {"weight": np.array([2.0])})
    >>> b"weight" in payload
    True
"""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from fedgdl.federated import ClientUpdate
from fedgdl.wire import PlainUpdate, encode_struct

__all__ = ["PlainProtection"]


class PlainProtection:
    """Sends the terms of an update as they are, with the counts that go with them."""

    def protect(self, update: ClientUpdate, terms: Mapping[str, npt.NDArray[Any]]) -> bytes:
        """Returns the payload of an update: its terms in little-endian bytes, and its metrics."""
        little_endian = {name: term.astype(term.dtype.newbyteorder("<"), copy=False) for name, term in terms.items()}
        return encode_struct(
            PlainUpdate(
                terms={name: term.tobytes() for name, term in little_endian.items()},
                num_examples=update.num_examples,
                train_loss=update.train_loss,
                train_accuracy=update.train_accuracy,
            )
        )
