"""Experiments whose updates travel as whole numbers, and cohorts of updates for them; drawn by Hypothesis, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from fedgdl.config import AggregationConfig, Experiment, StrategyConfig, TrainingConfig
from fedgdl.federated import ClientUpdate, Strategy, UpdateEncoding, make_strategy, make_update_encoding
from fedgdl.parameters import DType, Layout


def layout_of(size: int, dtype: DType = "float32") -> Layout:
    """Returns the layout of a model of so many parameters."""
    return Layout.of({"w": (size,)}, dtype)


def exact_experiment(
    cohort_size: int = 3, weighting: Any = "num_examples", seed: int = 12345, **aggregation: Any
) -> Experiment:
    """Returns an experiment with encoded updates, everything settled that has to be."""
    settings = {"exact": True, "max_weight": 8 if weighting == "num_examples" else 1, **aggregation}
    return Experiment(
        "encoded",
        "spam",
        TrainingConfig(learning_rate=0.1),
        seed=seed,
        cohort_size=cohort_size,
        strategy=StrategyConfig(weighting=weighting),
        aggregation=AggregationConfig(**settings),
    )


@dataclass(frozen=True)
class Cohort:
    """An experiment and the updates of one cohort of it; all in one place, as only a test may have them."""

    experiment: Experiment
    layout: Layout
    updates: tuple[ClientUpdate, ...]

    @property
    def strategy(self) -> Strategy:
        """The experiment's."""
        return make_strategy(self.experiment.strategy)

    @property
    def encoding(self) -> UpdateEncoding:
        """The experiment's, made anew each time."""
        return make_update_encoding(self.experiment, self.strategy, self.layout)

    @property
    def weights(self) -> list[int]:
        """How much each client counts, capped."""
        limit = self.experiment.aggregation.max_weight or 1
        by_examples = self.experiment.strategy.weighting == "num_examples"
        return [min(update.num_examples, limit) if by_examples else 1 for update in self.updates]

    def exact_weighted_sum(self, position: int) -> Fraction:
        """Returns the sum of weight times clipped delta in one position, without any rounding."""
        clip = Fraction(self.experiment.aggregation.clip)
        elements = [Fraction(float(update.delta[position])) for update in self.updates]
        return sum(
            (weight * max(-clip, min(clip, element)) for weight, element in zip(self.weights, elements, strict=True)),
            Fraction(0),
        )


def normal_updates(
    num_clients: int, size: int, seed: int, scale: float = 1.0, dtype: DType = "float32"
) -> tuple[ClientUpdate, ...]:
    """Returns updates with normal deltas, 1 to 10 examples, and plausible metrics."""
    rng = np.random.default_rng(seed)
    return tuple(
        ClientUpdate(
            rng.normal(scale=scale, size=size).astype(dtype), int(rng.integers(1, 11)), rng.exponential(), rng.random()
        )
        for _ in range(num_clients)
    )


def add_up(vectors: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Returns the sum of ring vectors, in the ring."""
    return np.add.reduce(vectors, dtype=vectors[0].dtype)


@st.composite
def cohorts(draw: st.DrawFn) -> Cohort:
    """Draws cohorts of up to 6 clients with up to 8 parameters, under every setting that has room for them."""
    num_clients, size = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    cohort_size = draw(st.integers(num_clients, 200))
    ring_bits = draw(st.sampled_from([32, 64]))
    roomy = 32 if ring_bits == 64 else 24
    weighting = draw(st.sampled_from(["num_examples", "equal"]))
    experiment = exact_experiment(
        cohort_size,
        weighting,
        clip=draw(st.floats(1e-3, 1e3)),
        bits=draw(st.integers(2, roomy)),
        ring_bits=ring_bits,
        rounding=draw(st.sampled_from(["nearest", "stochastic"])),
        **({"max_weight": draw(st.integers(1, 2**roomy))} if weighting == "num_examples" else {}),
    )
    dtype: DType = draw(st.sampled_from(["float32", "float64"]))
    updates = normal_updates(num_clients, size, draw(st.integers(0, 2**32)), experiment.aggregation.clip, dtype)
    limit = experiment.aggregation.max_weight or 1
    counts = draw(st.lists(st.integers(1, 2 * limit), min_size=num_clients, max_size=num_clients))
    updates = tuple(
        ClientUpdate(update.delta, count, update.train_loss, update.train_accuracy)
        for update, count in zip(updates, counts, strict=True)
    )
    return Cohort(experiment, layout_of(size, dtype), updates)
