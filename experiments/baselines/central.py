"""Central training: one model, the examples of all clients together, as much work as the federation had.

For each round of the federation the model is trained on as many examples as the round's cohort would have visited
(its clients' examples times the epochs), with the same batch size, learning rate and decay. Passes over
the pooled examples follow one another across rounds; with shuffling each pass has a new order. Velocity starts from
zero in each round, as a client's does: a federation of one client is its own central baseline.

Example:
    >>> import numpy as np
    >>> from fedgdl.config import TrainingConfig
    >>> from fedgdl.data import ArrayExamples
    >>> passes = Passes(ArrayExamples(np.arange(5), np.zeros(5, int)), TrainingConfig(0.1, batch_size=2, shuffle=False))
    >>> [batch.inputs.tolist() for batch in passes.batches(7)], [batch.inputs.tolist() for batch in passes.batches(3)]
    ([[0, 1], [2, 3], [4], [0, 1]], [[2, 3], [4]])
"""

import logging
import time
from collections.abc import Iterator
from typing import Any, Generic

import numpy as np

from experiments.baselines.results import BaselinePoint, CentralBaseline
from fedgdl.config import Experiment, TrainingConfig
from fedgdl.data import Examples, FederatedDataset
from fedgdl.federated import (
    Task,
    build_task_model,
    evaluate,
    is_evaluated,
    make_optimizer,
    num_visits,
    plan_of_round,
    pool_examples,
    require_a_batch,
    sample_cohort,
    train_batches,
)
from fedgdl.federated.task import BatchT
from fedgdl.progress import watched
from fedgdl.runtime import one_blas_thread
from fedgdl.seeding import stream

__all__ = ["Passes", "train_centrally"]

logger = logging.getLogger(__name__)


class Passes(Generic[BatchT]):
    """Passes over examples, one after another, handed out in batches.

    Args:
        examples: what to pass over.
        plan: the batch size, and whether to shuffle and to skip smaller batches at the end of a pass.
        seed: the experiment's root seed; pass p has the order of the stream (seed, "central-shuffle", p).

    Raises:
        DataError: there are no examples, or not a single whole batch while smaller ones are skipped.
    """

    def __init__(self, examples: Examples[BatchT], plan: TrainingConfig, seed: int = 0) -> None:
        require_a_batch(len(examples), plan)
        self._examples = examples
        self._plan = plan
        self._seed = seed
        self._end = len(examples) - (len(examples) % plan.batch_size if plan.drop_last else 0)
        self._position = self._end
        self._pass_index = 0
        self._order: np.ndarray[Any, Any] | None = None

    def batches(self, num_examples: int) -> Iterator[BatchT]:
        """Yields the next so many examples; a batch ends with the pass, or where there are enough."""
        while num_examples > 0:
            if self._position == self._end:
                self._begin_pass()
            stop = min(self._position + min(self._plan.batch_size, num_examples), self._end)
            if self._order is None:
                yield self._examples.slice(self._position, stop)
            else:
                yield self._examples.take(self._order[self._position : stop])
            num_examples -= stop - self._position
            self._position = stop

    def _begin_pass(self) -> None:
        self._pass_index += 1
        self._position = 0
        if self._plan.shuffle:
            rng = stream(self._seed, "central-shuffle", round_index=self._pass_index)
            self._order = rng.permutation(len(self._examples))


def train_centrally(
    experiment: Experiment, task: Task[Any], data: FederatedDataset[Any], baseline: CentralBaseline
) -> None:
    """Trains the central model and fills its baseline, round by round.

    Raises:
        DataError: the clients' examples cannot be pooled, or there are none.
        KeyboardInterrupt: Ctrl-C; the baseline holds what is done.
    """
    began = time.perf_counter()
    passes = Passes(pool_examples(data), experiment.training, experiment.seed)
    model = build_task_model(task, data, experiment, stream(experiment.seed, "initialise"))
    parameters = model.flatten()
    for round_index in watched(range(1, baseline.num_rounds + 1), "central baseline: rounds"):
        plan = plan_of_round(experiment.training, round_index)
        num_examples = _visits_of_round(experiment, data, round_index)
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below
            model.train(stream(experiment.seed, "central-dropout", round_index=round_index))
            train_batches(task, model, passes.batches(num_examples), plan, make_optimizer(model, plan))
            baseline.num_visits += num_examples
            baseline.seconds = time.perf_counter() - began
            if not np.isfinite(parameters.vector).all():
                logger.warning("the central baseline diverged in round %d: lower training.learning_rate", round_index)
                baseline.status = "failed"
                return
            if is_evaluated(experiment, round_index) or round_index == baseline.num_rounds:
                metrics = evaluate(task, model, data.test)
                point = BaselinePoint(round_index, baseline.num_visits, metrics.loss, metrics.accuracy, metrics.means)
                baseline.points.append(point)
        baseline.seconds = time.perf_counter() - began
    baseline.status = "done"


def _visits_of_round(experiment: Experiment, data: FederatedDataset[Any], round_index: int) -> int:
    """Returns how many examples the clients of a round's cohort visit in it."""
    cohort = sample_cohort(data.client_ids, experiment.cohort_size, seed=experiment.seed, round_index=round_index)
    return sum(num_visits(len(data.client(client_id)), experiment.training) for client_id in cohort)
