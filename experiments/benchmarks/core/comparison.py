"""One row of the benchmark: sides that are shown to compute the same, then timed in turn.

Example:
    >>> from experiments.benchmarks.core.by_hand import by_hand
    >>> from experiments.benchmarks.core.workloads import WORKLOADS
    >>> rng = np.random.default_rng(1)
    >>> workload = WORKLOADS[2]
    >>> start, batches = workload.draw_weights(rng), [workload.draw_batch(rng)]
    >>> check_agreement({"one": by_hand(workload, start), "other": by_hand(workload, start)}, start, batches)
    0.0
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from experiments.benchmarks.core.workload import Array, Batch, Side, Weights
from fedgdl.errors import RunFailed

__all__ = ["NUM_STEPS", "TOLERANCE", "TOLERANCE_WITH_BENDS", "check_agreement", "looping"]

NUM_STEPS: Final = 6
"""How many steps the sides take in common before they are timed."""
TOLERANCE: Final = 5e-4
"""How far two sides may lie apart: for a loss, relative to it; for each array of weights, the norm of the difference
relative to the norm of the way it has come from its start. In float32 sums in another order make 1e-6 to
5e-5 of it; a gradient that lacks a term, some 1e-1."""
TOLERANCE_WITH_BENDS: Final = 1e-2
"""The same for models with relu or a maximum: where two candidates of a pooling window are equal but for rounding,
each side may choose another one, and part of the gradient goes another way."""


def looping(side: Side, batches: Sequence[Batch]) -> Callable[[int], float]:
    """Returns the side's step as a function of its index, the prepared batches being used in turn."""
    prepared = [side.prepare(batch) for batch in batches]
    count, step = len(prepared), side.step
    return lambda index: step(*prepared[index % count])


def check_agreement(
    sides: Mapping[str, Side], start: Weights, batches: Sequence[Batch], tolerance: float = TOLERANCE
) -> float:
    """Takes some steps on each side; returns the largest difference from the first one, measured as in `TOLERANCE`.

    Raises:
        RunFailed: two sides differ by more than the tolerance in a loss or in an array of weights, or an array stayed
            where it was.
    """
    steps = {name: looping(side, batches) for name, side in sides.items()}
    losses = {name: [step(index) for index in range(NUM_STEPS)] for name, step in steps.items()}
    (first, expected), *others = ((name, side.weights()) for name, side in sides.items())
    ways = {name: _distance(expected[name], start[name]) for name in start}
    unmoved = [name for name, way in ways.items() if not way > 0]
    if unmoved:
        message = f"{NUM_STEPS} steps of {first} left {', '.join(unmoved)} where it was"
        raise RunFailed(message)
    largest = 0.0
    for other, weights in others:
        differences = {
            f"the loss of step {index + 1}": abs(theirs - ours) / abs(ours)
            for index, (ours, theirs) in enumerate(zip(losses[first], losses[other], strict=True))
        }
        differences |= {name: _distance(weights[name], expected[name]) / way for name, way in ways.items()}
        worst = max(differences, key=lambda name: _or_infinity(differences[name]))
        if not differences[worst] <= tolerance:
            message = (
                f"{other} and {first} differ after the same {NUM_STEPS} steps: {worst} by {differences[worst]:.2g} of "
                f"what it is, where {tolerance:g} is allowed"
            )
            raise RunFailed(message)
        largest = max(largest, differences[worst])
    return largest


def _distance(one: Array, other: Array) -> float:
    return float(np.linalg.norm((one - other).ravel()))


def _or_infinity(difference: float) -> float:
    """Returns the difference, or infinity for none: NaN is larger than nothing."""
    return math.inf if math.isnan(difference) else difference
