"""Faults on purpose: what the configuration wants to go wrong, done at its moment.

For demonstrations and tests of what a run survives. Without `[faults]` in the configuration
nothing here does anything.

Example:
    >>> import numpy as np
    >>> from fedgdl.config import FaultConfig, FaultsConfig
    >>> faults = Faults(FaultsConfig((FaultConfig("nan", "bob", round=2),)))
    >>> delta = np.zeros(3)
    >>> faults.spoil_delta(delta, "bob", 1), faults.spoil_delta(delta, "bob", 2)
    (array([0., 0., 0.]), array([nan,  0.,  0.]))
"""

import os
import signal
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from fedgdl.config import FaultsConfig
from fedgdl.wire import FRAME_OVERHEAD_BYTES

__all__ = ["Faults", "InjectedError"]


class InjectedError(RuntimeError):
    """The error that a fault of kind `raise` raises in a client's training."""


class Faults:
    """The configured faults, looked up by kind, client and round."""

    def __init__(self, config: FaultsConfig) -> None:
        self._kill = {(event.client, event.round, event.when) for event in config.events if event.kind == "kill"}
        self._other = {(event.kind, event.client, event.round) for event in config.events if event.kind != "kill"}

    def reach(self, moment: str, client_id: str, round_index: int) -> None:
        """Ends this process, stalls it or raises, if the configuration wants that now.

        Args:
            moment: `"before_training"`, `"encrypting"`, `"after_training"` or `"after_sending"`, or the name of a stage
                without training, when the client is asked for it.
            client_id: who is at that moment.
            round_index: in which round.

        Raises:
            InjectedError: a fault of kind `raise`.
        """
        if (client_id, round_index, moment) in self._kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if moment == "before_training" and ("stall", client_id, round_index) in self._other:
            threading.Event().wait()
        if moment == "before_training" and ("raise", client_id, round_index) in self._other:
            message = "an error injected by faults.events"
            raise InjectedError(message)

    def spoil_delta(self, delta: npt.NDArray[Any], client_id: str, round_index: int) -> npt.NDArray[Any]:
        """Returns the delta, with its first element made NaN or infinite where the configuration wants that."""
        for kind, value in (("nan", np.nan), ("infinity", np.inf)):
            if (kind, client_id, round_index) in self._other:
                delta = delta.copy()
                delta[0] = value
        return delta

    def spoil_frame(self, frame: bytes, client_id: str, round_index: int) -> bytes:
        """Returns the frame, with one bit of its body flipped where the configuration wants that."""
        if ("corrupt", client_id, round_index) not in self._other:
            return frame
        spoilt = bytearray(frame)
        spoilt[FRAME_OVERHEAD_BYTES] ^= 1
        return bytes(spoilt)
