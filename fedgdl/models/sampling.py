"""Lets a recurrent model write: draws one id after another from what the model says comes next.

Works with every model whose `forward(window, state)` returns scores and the state after the window: `CharacterModel`,
`NextWordModel` and one's own.

Not here: what an id stands for.

Example:
    >>> from fedgdl.models import CharacterModel
    >>> model = CharacterModel(5, 4, (6,), rng=np.random.default_rng(1))
    >>> write(model, np.array([2, 0]), 8, np.random.default_rng(2), temperature=0.5, top_k=3).shape
    (8,)
    >>> choose(np.array([0.5, 3.0, 1.0]), np.random.default_rng(1), top_k=1)
    1
"""

from typing import Any, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor, no_grad
from fedgdl.errors import ConfigError, DataError

__all__ = ["Reader", "choose", "detach", "write"]

StateT = TypeVar("StateT")


class Reader(Protocol):
    """A model that reads a window of ids and says, at each, what comes next."""

    def __call__(self, window: npt.NDArray[np.int64], state: Any = None, /) -> tuple[Tensor, Any]:  # noqa: ANN401
        """Returns scores (T, B, V) and the state after a window (T, B)."""


def choose(
    scores: npt.NDArray[Any], rng: np.random.Generator, *, temperature: float = 1.0, top_k: int | None = None
) -> int:
    """Returns an id, drawn with the probabilities softmax(scores / temperature).

    Args:
        scores: (V,) floats, one for each id.
        rng: draws; exactly one number each time.
        temperature: positive. Below 1 likely ids become likelier, above 1 all become more alike.
        top_k: only that many ids with the highest scores come into question, all when left out. Of equal scores the
            first count as higher.

    Raises:
        ConfigError: the temperature is not positive and finite, or `top_k` is less than 1.
        DataError: there are no scores, or one is infinite or no number.

    Source:
        Top-k: Fan, Lewis, Dauphin, "Hierarchical Neural Story Generation", ACL 2018, section 5.4.
    """
    if not 0 < temperature < np.inf:
        message = f"temperature must be positive and finite, got {temperature}; top_k=1 takes the likeliest each time"
        raise ConfigError(message)
    if top_k is not None and top_k < 1:
        message = f"top_k must be at least 1, got {top_k}"
        raise ConfigError(message)
    if scores.ndim != 1 or not scores.size:
        message = f"expected scores (V,), one for each id, got shape {scores.shape}"
        raise DataError(message)
    if not np.isfinite(scores).all():
        message = "scores must be finite: the model has gone astray; lower its learning rate or clip its gradients"
        raise DataError(message)
    ids = np.argsort(-scores, kind="stable")[:top_k]
    kept = scores[ids].astype(np.float64)
    cumulated = np.cumsum(np.exp((kept - kept[0]) / temperature))
    # One number between 0 and the sum of all, which rounding could reach: then it is the last id's.
    position = int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))
    return int(ids[min(position, len(ids) - 1)])


def write(
    model: Reader,
    start: npt.NDArray[np.integer[Any]],
    length: int,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> npt.NDArray[np.int64]:
    """Returns ids that a model writes after it has read some.

    Args:
        model: reads ids and says what comes next; set it to evaluation before, if it drops anything.
        start: (n,) ids to read first, at least one.
        length: how many ids to write, 0 or more.
        rng: draws one number for each id.
        temperature: as for `choose`.
        top_k: as for `choose`.

    Returns:
        (length,) int64, without those of `start`.

    Raises:
        ConfigError: the temperature is not positive and finite, `top_k` is less than 1, or `length` less than 0.
        DataError: there is nothing to read first, or the model's scores are no finite numbers.
    """
    if length < 0:
        message = f"length must be 0 or more, got {length}"
        raise ConfigError(message)
    if start.ndim != 1 or not start.size:
        message = f"expected some ids (n,) to read first, got shape {start.shape}"
        raise DataError(message)
    written = np.empty(length, np.int64)
    window, state = start.astype(np.int64)[:, np.newaxis], None
    with no_grad():
        for index in range(length):
            scores, state = model(window, state)
            written[index] = choose(scores.data[-1, 0], rng, temperature=temperature, top_k=top_k)
            window = written[index : index + 1, np.newaxis]
    return written


def detach(state: StateT) -> StateT:
    """Returns a state as constants: where backpropagation through time is cut off, between two windows.

    Args:
        state: what a model returned beside its scores: a tensor, or tuples of such, however deep; none stays none.
    """
    if isinstance(state, Tensor):
        return cast("StateT", state.detach())
    return cast("StateT", tuple(map(detach, state))) if isinstance(state, tuple) else state
