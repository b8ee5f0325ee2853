"""No protection: the coordinator reads every client's update. The book's first setting.

Not protected against: anyone who sees the payload, the coordinator first of all. The attack
`fedgdl attack words` reads a client's e-mail out of it.

Example:
    >>> import numpy as np
    >>> from fedgdl.federated import ClientUpdate, FedAvg
    >>> update = ClientUpdate(np.array([0.5]), num_examples=2, train_loss=0.25, train_accuracy=1.0)
    >>> payload = PlainProtection(FedAvg("equal")).protect("bob", 1, "0" * 64, b"", b"", update)
    >>> b"weight" in payload
    True
"""

import numpy as np

from clients.protection.unprotected import Unprotected
from fedgdl.errors import ClientError
from fedgdl.federated import ClientUpdate, Strategy
from fedgdl.wire import PlainUpdate, encode_struct

__all__ = ["PlainProtection"]


class PlainProtection(Unprotected):
    """Sends the terms of an update as they are, with the counts that go with them.

    Args:
        strategy: says which terms of which sums a client forms.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy

    def protect(
        self,
        client_id: str,
        round_index: int,
        model_sha256: str,
        common: bytes,
        message: bytes,
        update: ClientUpdate,
    ) -> bytes:
        """Returns the payload of an update: its terms in little-endian bytes, and its metrics.

        Raises:
            ClientError: a term is too large for the update's dtype.
        """
        with np.errstate(over="ignore"):
            terms = self._strategy.terms(update)
        for name, term in terms.items():
            if not np.isfinite(term).all():
                reason = (
                    f"its update is too large for {term.dtype} in {name}; it is left out of this round "
                    "(a lower training.learning_rate may help)"
                )
                raise ClientError(client_id, reason)
        little_endian = {name: term.astype(term.dtype.newbyteorder("<"), copy=False) for name, term in terms.items()}
        return encode_struct(
            PlainUpdate(
                terms={name: term.tobytes() for name, term in little_endian.items()},
                num_examples=update.num_examples,
                train_loss=update.train_loss,
                train_accuracy=update.train_accuracy,
            )
        )
