"""What protections have in common that send an update as it is: one stage, in which the client trains.

Not here: what they send (`plain`, `exact`).
"""

from fedgdl.errors import ProtocolError

__all__ = ["Unprotected"]


class Unprotected:
    """Knows no stage without training, and no announced model.

    Attributes:
        is_private: no: the coordinator reads counts, losses and reasons.
    """

    is_private = False

    def answer(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
        """Refuses: there is no stage but the one that trains.

        Raises:
            ProtocolError: always.
        """
        reason = f"it was asked for a stage {stage!r}, and its updates are not protected"
        raise ProtocolError(reason)

    def check_model(self, client_id: str, round_index: int, model_sha256: str) -> None:
        """Does nothing: no model has been announced."""
