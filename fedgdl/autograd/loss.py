"""Losses in one operation each, from a model's outputs to what is minimised.

Each is reduced over all its elements to one number, `"mean"` or `"sum"`, or not at all, `"none"`. In a stack
of K clients, `per_client` keeps the first axis: each client has a loss of its own.

Example:
    >>> logits = Tensor([[2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = softmax_cross_entropy(logits, np.array([0, 1]))
    >>> round(loss.item(), 4)
    0.41
    >>> loss.backward()
    >>> logits.grad.round(3)
    array([[-0.06,  0.06],
           [ 0.25, -0.25]])
"""

import functools
import math
from typing import Final, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from fedgdl.autograd.operands import as_tensor
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.errors import GraphError

__all__ = ["Reduction", "sigmoid_cross_entropy", "softmax_cross_entropy", "squared_error"]

Reduction: TypeAlias = Literal["mean", "sum", "none"]

_INT64: Final = np.dtype(np.int64)
_UINT64: Final = np.dtype(np.uint64)


def squared_error(
    prediction: Tensor, target: Tensor | Array, reduction: Reduction = "sum", *, per_client: bool = False
) -> Tensor:
    """(...), (...) -> () or, per client, (K,): the sum, mean or each of (prediction - target)^2.

    Shapes must be equal: a target that was broadcast would be counted several times.

    Raises:
        GraphError: shapes or dtypes differ, the reduction is unknown, or a mean of nothing is asked for.
    """
    x, t = prediction.data, target.data if isinstance(target, Tensor) else target
    _require_alike("squared_error", x, t)
    count = _count("squared_error", x.shape, reduction, per_client=per_client)
    error = x - t
    if reduction == "none":
        loss = error * error
    elif per_client:
        loss = _dot_rows(error) / count
    else:
        loss = np.vdot(error, error) / count

    def vjp(g: Array) -> None:
        slope = _spread(2 * g / count, error.ndim) * error
        if prediction.requires_grad:
            prediction.receive(slope)
        if isinstance(target, Tensor) and target.requires_grad:
            target.receive(-slope)

    return record(loss, (prediction, target) if isinstance(target, Tensor) else (prediction,), vjp)


def softmax_cross_entropy(
    logits: Tensor, class_ids: npt.NDArray[np.int64], reduction: Reduction = "mean", *, per_client: bool = False
) -> Tensor:
    """(..., C), (...) -> () or, per client, (K,): -log softmax(logits)[class id], averaged, summed or each.

    Stable: the largest logit of each row is subtracted first.

    Args:
        logits: (..., C).
        class_ids: (...) int64, 0 to C - 1.
        reduction: as above.
        per_client: whether the first axis is one of clients, to be kept.

    Raises:
        GraphError: shapes do not fit, an id is out of range, the reduction is unknown, or a mean of nothing is
            asked for.
    """
    x, ids = logits.data, np.asarray(class_ids)
    _require_classes(x, ids)
    count = _count("softmax_cross_entropy", ids.shape, reduction, per_client=per_client)
    num_classes = x.shape[-1]
    rows = x.reshape(-1, num_classes)
    picked = _starts(len(rows), num_classes) + ids.reshape(-1)
    shifted = rows - np.maximum.reduce(rows, -1, keepdims=True)
    chosen = shifted.reshape(-1).take(picked)
    exps = np.exp(shifted, out=shifted)
    sums = np.add.reduce(exps, -1, keepdims=True)
    losses = np.log(sums).reshape(-1)
    losses -= chosen
    if reduction == "none":
        loss = losses.reshape(ids.shape)
    elif per_client:
        loss = np.add.reduce(losses.reshape(len(ids), -1), -1) / count
    else:
        loss = np.add.reduce(losses) / count

    def vjp(g: Array) -> None:
        slope = exps  # of this closure alone, which runs once
        slope /= sums
        slope.reshape(-1)[picked] -= 1
        if g.ndim == 0:
            slope *= g / count
            logits.receive(slope.reshape(x.shape))
        else:
            slope = slope.reshape(x.shape)
            slope *= _spread(g / count, x.ndim)
            logits.receive(slope)

    return record(loss, (logits,), vjp)


def sigmoid_cross_entropy(
    logits: Tensor, targets: Tensor | Array, reduction: Reduction = "mean", *, per_client: bool = False
) -> Tensor:
    """(...), (...) -> () or, per client, (K,): the binary cross-entropy of sigmoid(logits), averaged, summed or each.

    Stable: log(1 + exp(-|x|)) + max(x, 0) - x t, which neither overflows nor loses small losses.

    Args:
        logits: (...).
        targets: (...) of the logits' dtype, probabilities from 0 to 1; a constant.
        reduction: as above.
        per_client: whether the first axis is one of clients, to be kept.

    Raises:
        GraphError: shapes or dtypes differ, targets require a gradient, the reduction is unknown, or a mean
            of nothing is asked for.
    """
    x, t = logits.data, targets.data if isinstance(targets, Tensor) else targets
    _require_alike("sigmoid_cross_entropy", x, t)
    if isinstance(targets, Tensor) and targets.requires_grad:
        message = "sigmoid_cross_entropy: targets are constants, this one requires a gradient; `detach()` it"
        raise GraphError(message)
    count = _count("sigmoid_cross_entropy", x.shape, reduction, per_client=per_client)
    tail = np.asarray(np.abs(x))
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    losses = np.log1p(tail)
    losses += np.maximum(x, 0)
    losses -= x * t
    if reduction == "none":
        loss = losses
    elif per_client:
        loss = np.add.reduce(losses.reshape(len(x), -1), -1) / count
    else:
        loss = np.add.reduce(losses.reshape(-1)) / count

    def vjp(g: Array) -> None:
        slope = np.where(x >= 0, 1, tail)
        slope /= 1 + tail
        slope -= t
        slope *= _spread(g / count, x.ndim)
        logits.receive(slope)

    return record(loss, (logits,), vjp)


def _require_alike(operation: str, x: Array, target: Array) -> None:
    """Raises GraphError unless predictions and targets have one shape and one dtype."""
    if type(target) is np.ndarray and x.shape == target.shape and x.dtype is target.dtype:
        return
    goal = as_tensor(operation, target)
    if goal.dtype != x.dtype:
        message = (
            f"{operation}: the prediction of shape {x.shape} is {x.dtype}, the target of {goal.shape} {goal.dtype}"
        )
        raise GraphError(message)
    if goal.shape != x.shape:
        message = f"{operation}: the prediction has shape {x.shape}, but the target {goal.shape}"
        raise GraphError(message)


@functools.lru_cache(maxsize=64)
def _starts(num_rows: int, num_classes: int) -> npt.NDArray[np.int64]:
    """(num_rows,): where each row of a contiguous (num_rows, num_classes) begins."""
    starts = np.arange(0, num_rows * num_classes, num_classes)
    starts.setflags(write=False)
    return starts


def _require_classes(x: Array, ids: npt.NDArray[np.int64]) -> None:
    """Raises GraphError unless the ids name a class for each row of logits."""
    complaint = ""
    if ids.dtype != _INT64:
        complaint = f"class ids must be int64, got {ids.dtype}"
    elif x.shape[:-1] != ids.shape or not x.ndim or not x.shape[-1]:
        complaint = f"needs logits (..., C) and class ids (...), got shapes {x.shape} and {ids.shape}"
    elif ids.size and int(np.maximum.reduce(ids.view(_UINT64), None)) >= x.shape[-1]:  # a negative id is a huge one
        complaint = f"class ids must be 0 to {x.shape[-1] - 1}, got {ids.min()} to {ids.max()}"
    if complaint:
        message = f"softmax_cross_entropy: {complaint}"
        raise GraphError(message)


def _count(operation: str, shape: tuple[int, ...], reduction: str, *, per_client: bool) -> int:
    """Returns by how much a sum of losses is divided."""
    if per_client and not shape:
        message = f"{operation}: a loss per client needs an axis of clients, got shape ()"
        raise GraphError(message)
    if reduction in {"sum", "none"}:
        return 1
    if reduction != "mean":
        message = f'{operation}: the reduction is "mean", "sum" or "none", not {reduction!r}'
        raise GraphError(message)
    count = math.prod(shape[1:] if per_client else shape)
    if not count:
        message = f"{operation}: there is no mean of losses of shape {shape}"
        raise GraphError(message)
    return count


def _dot_rows(error: Array) -> Array:
    """(K, ...) -> (K,): the sum of squares of each client, as `vdot` finds it for one."""
    rows = error.reshape(len(error), -1)
    return cast("Array", np.matmul(rows[:, np.newaxis], rows[:, :, np.newaxis]).reshape(-1))


def _spread(g: Array, ndim: int) -> Array:
    """(), (K,) or (...) -> one that broadcasts against the losses' shape from the left."""
    return g if g.ndim in (0, ndim) else g.reshape(*g.shape, *(1,) * (ndim - g.ndim))
