"""What goes through the updates of a run, one by one: of each kind of protection another one.

Example:
    >>> is_truth: Truth = lambda round_index, client_id: None  # the simulator has kept nothing
"""

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from experiments.audit.tallies import Check, Correlation
from fedgdl.federated.encoding import UpdateEncoding

__all__ = ["MAX_FRAME_BYTES", "Examiner", "Truth"]

Truth: TypeAlias = Callable[[int, str], npt.NDArray[Any] | None]
"""(round, client id) -> the encoded update that the client sent, from the simulator's files; none where there is none.
"""

MAX_FRAME_BYTES: Final = 2**32
"""The coordinator has refused larger ones before."""


class Examiner(Protocol):
    """Reads the payloads of the stage that trains, and tells what they show.

    Attributes:
        stage: the name of that stage.
        byte_labels: what the rows of `counts` are.
        encoding: how updates were encoded; none where they were not.
        counts: (rows, 256) how often bytes had each value.
        correlations: of received vectors with the updates beneath them, where these are known.
    """

    @property
    def stage(self) -> str: ...  # noqa: D102 (described in the class, as are the others)

    @property
    def byte_labels(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def encoding(self) -> UpdateEncoding | None: ...  # noqa: D102

    @property
    def counts(self) -> npt.NDArray[np.int64]: ...  # noqa: D102

    @property
    def correlations(self) -> list[Correlation]: ...  # noqa: D102

    def take(self, round_index: int, client_id: str, frame: bytes, truth: Truth) -> None:
        """Takes one client's update in.

        Args:
            round_index: the round; never smaller than that of the update before.
            client_id: whose it is.
            frame: as it reached the coordinator.
            truth: what the client really sent.

        Raises:
            WireError: there is no update in the frame.
        """

    def results(self) -> list[Check]:
        """Returns what the updates so far tell."""
        ...
