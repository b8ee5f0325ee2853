"""One attempt at one round: what its clients are sent, and what has come of it so far.

Not here: who is asked when and whose answers count (`server.round_state`), what an answer means
(`server.aggregation`), and how attempts follow one another (`server.coordinator`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

from fedgdl.config import TrainingConfig
from fedgdl.federated import ClientRecord, CohortSums, StageRecord
from fedgdl.wire import ClientMessage, ParametersReference, StageName, StageTask, TrainTask
from server.aggregation import CohortAggregation
from server.round_state import Assignment, RoundState

__all__ = ["Attempt"]


@dataclass(slots=True)
class Attempt:
    """One attempt at one round.

    Attributes:
        number: counted from 1 in each round.
        state: who has been asked, has answered, or is missing.
        work: says what clients are told, and takes their answers in.
        parameters: where workers read what clients train from.
        stages: of all attempts at the round so far.
        records: client id -> record, of the clients whose update was taken.
        opened: the sums; none before they are opened, and where they cannot be.
        problem: why there are none; empty otherwise.
    """

    number: int
    state: RoundState
    work: CohortAggregation
    parameters: ParametersReference
    stages: list[StageRecord]
    records: dict[str, ClientRecord] = field(default_factory=dict)
    opened: CohortSums | None = None
    problem: str = ""
    _num_failures_told: int = 0

    @property
    def training_stage(self) -> str:
        """The name of the stage that trains."""
        return next(stage.name for stage in self.state.stages if stage.trains)

    @property
    def shortage(self) -> str:
        """How many answers came in the current stage, and how many are needed, in words."""
        stage = self.state.stage
        came = "updates came" if stage.trains else f"clients answered in the stage {stage.name!r}"
        return f"{self.state.num_answers} {came}, {stage.min_answers} are needed"

    def task(self, assignment: Assignment, plan: TrainingConfig, common: bytes) -> TrainTask | StageTask:
        """Returns what a worker is sent for an assignment in the current stage.

        Args:
            assignment: names the clients.
            plan: how they train, if this is the stage to do so.
            common: what all participants of the stage are told alike.
        """
        state, stage = self.state, self.state.stage
        clients = tuple(
            ClientMessage(client_id, self.work.message(stage.name, client_id)) for client_id in assignment.client_ids
        )
        if stage.trains:
            return TrainTask(state.round_index, self.parameters, plan, clients, common)
        return StageTask(state.round_index, cast("StageName", stage.name), clients, common)

    def new_failures(self) -> list[str]:
        """Returns the clients that have failed since this was last asked, sorted."""
        failures: Mapping[str, object] = self.state.failures
        if len(failures) == self._num_failures_told:
            return []
        new = sorted(islice(failures, self._num_failures_told, None))
        self._num_failures_told = len(failures)
        return new
