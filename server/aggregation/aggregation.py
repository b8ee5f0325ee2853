"""The interface of an aggregation: payloads of a cohort in, the sums of the cohort out.

An aggregation says which stages a round has. Payloads and messages are bytes whose meaning only it and its
protection in `clients.protection` know.

Example:
    >>> from fedgdl.config import Experiment, TrainingConfig
    >>> from fedgdl.federated import FedAvg
    >>> from fedgdl.parameters import Layout
    >>> experiment = Experiment("two", "spam", TrainingConfig(learning_rate=0.1))
    >>> aggregation = make_aggregation(experiment, FedAvg("equal"), Layout.of({"w": (2,)}))
    >>> [stage.name for stage in aggregation.open_round(1, 1, ("alice", "bob"), "0" * 64).stages]
    ['train']
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from fedgdl.config import Experiment
from fedgdl.federated import ClientRecord, CohortSums, Strategy
from fedgdl.parameters import Layout
from server.aggregation.plain import PlainAggregation
from server.round_state import Stage

if TYPE_CHECKING:
    from fedgdl.wire.paillier import KeyCertificate
    from server.aggregation.paillier import SumOpener

__all__ = ["Aggregation", "CohortAggregation", "make_aggregation"]


class CohortAggregation(Protocol):
    """One attempt at one round: what is said to its clients, and what becomes of their answers.

    For each stage in turn: `begin`, `common`, then `message` and `take` for one client or another in any order; a
    client's `take` comes after its `message`, and once at most. After the last stage `finish`, once. A round may end
    after any stage without a word.

    Attributes:
        stages: the stages of the round, in order; exactly one of them trains.
    """

    @property
    def stages(self) -> tuple[Stage, ...]: ...  # noqa: D102 (described in the class)

    def begin(self, stage: str, client_ids: tuple[str, ...]) -> None:
        """Says who takes part in a stage: in the first the cohort, else those whose answer to the one before was taken.

        Args:
            stage: its name.
            client_ids: in the order of ids. Some of them may have left, and will not answer.

        Raises:
            AggregationError: the round cannot go on with these.
        """
        ...

    def common(self, stage: str) -> bytes:
        """Returns what every participant of the stage is told alike; empty for nothing."""
        ...

    def message(self, stage: str, client_id: str) -> bytes:
        """Returns what one participant of the stage is told; empty for nothing.

        Asked a second time for the same client only in the first stage, when its worker was lost before it answered.
        """
        ...

    def take(self, stage: str, client_id: str, payload: bytes) -> ClientRecord | None:
        """Takes the answer of a client that was asked and has not answered yet.

        Returns:
            What may be reported of the client, where the payload tells it; none in stages and aggregations that hide
            it.

        Raises:
            ClientError: the payload cannot be used. The client has left the round then; it is as if it had not
                answered in this stage.
        """
        ...

    def finish(self) -> CohortSums:
        """Returns the sums over the clients whose answer to the training stage was taken.

        Raises:
            FedgdlError: there are none; an `AggregationError` as a rule.
        """
        ...


class Aggregation(Protocol):
    """Adds up what the clients of a cohort sent, round by round.

    Attributes:
        max_payload_bytes: the size that no valid payload of any stage exceeds.
    """

    @property
    def max_payload_bytes(self) -> int: ...  # noqa: D102 (described in the class)

    def open_round(
        self, round_index: int, attempt: int, cohort: tuple[str, ...], model_sha256: str
    ) -> CohortAggregation:
        """Returns a fresh aggregation for one attempt at one round.

        Args:
            round_index: counted from 1.
            attempt: counted from 1 in each round.
            cohort: the sampled clients, each once, in the order of ids.
            model_sha256: of the parameter vector that they train from, 64 hexadecimal digits.
        """
        ...


def make_aggregation(
    experiment: Experiment,
    strategy: Strategy,
    layout: Layout,
    *,
    opener: "SumOpener | None" = None,
    certificate: "KeyCertificate | None" = None,
    client_ids: Sequence[str] = (),
) -> Aggregation:
    """Returns the configured aggregation.

    Args:
        experiment: the configuration, with `aggregation.max_weight` resolved where updates are encoded.
        strategy: declares the sums.
        layout: the model's layout.
        opener: opens sums of ciphertexts; none where clients do, or where nothing is encrypted.
        certificate: of the key that updates are encrypted with, where clients open the sums.
        client_ids: the population, of which each holds a share of that key where it is shared out.
    """
    if experiment.aggregation.kind == "paillier":
        from server.aggregation.paillier import PaillierAggregation  # lazily: plain runs need no cryptography

        return PaillierAggregation(experiment, strategy, layout, opener, certificate=certificate, client_ids=client_ids)
    if experiment.aggregation.kind == "secagg":
        from server.aggregation.secagg import SecaggAggregation  # lazily: plain runs need no cryptography

        return SecaggAggregation(experiment, strategy, layout)
    if experiment.aggregation.exact:
        from server.aggregation.exact import ExactAggregation  # lazily: for those runs alone that need it

        return ExactAggregation(experiment, strategy, layout)
    return PlainAggregation(layout, strategy.sum_shapes(layout), experiment.strategy.min_updates)
