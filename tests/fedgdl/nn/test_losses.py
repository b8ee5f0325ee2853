"""Losses: values, reductions, gradients, and what they refuse."""

import math
from typing import Literal

import numpy as np
import pytest
from tensors import dense_gradient, leaf

from fedgdl.autograd import Tensor, gradcheck
from fedgdl.errors import GraphError
from fedgdl.nn import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss

Reductions = Literal["mean", "sum", "none"]
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
LOSSES = [MSELoss, BCEWithLogitsLoss, CrossEntropyLoss]


def test_squared_errors() -> None:
    prediction, target = Tensor(np.zeros((2, 3))), np.full((2, 3), 2.0)
    assert MSELoss()(prediction, target).item() == 4
    assert MSELoss(reduction="sum")(prediction, target).item() == 24
    np.testing.assert_array_equal(MSELoss("none")(prediction, target).data, np.full((2, 3), 4.0))


def test_binary_cross_entropies() -> None:
    """At a logit of 0 either answer costs log 2; at a large one the wrong answer costs the logit, the right nothing."""
    logits, targets = Tensor([0.0, 0.0, 1000.0, -1000.0, 1000.0]), np.array([0.0, 1, 1, 0, 0])
    expected = [math.log(2), math.log(2), 0, 0, 1000]
    np.testing.assert_allclose(BCEWithLogitsLoss("none")(logits, targets).data, expected, rtol=1e-14)
    assert BCEWithLogitsLoss("sum")(logits, targets).item() == pytest.approx(sum(expected), rel=1e-14)
    assert BCEWithLogitsLoss()(logits, targets).item() == pytest.approx(sum(expected) / 5, rel=1e-14)


def test_cross_entropies() -> None:
    """Equal logits cost log C; one far above the others costs its distance where another class is right."""
    logits, classes = Tensor([[0.0, 0, 0], [1000, 0, 0], [1000, 0, 0]]), np.array([2, 0, 1])
    expected = [math.log(3), 0, 1000]
    np.testing.assert_allclose(CrossEntropyLoss("none")(logits, classes).data, expected, rtol=1e-14)
    assert CrossEntropyLoss("sum")(logits, classes).item() == pytest.approx(sum(expected), rel=1e-14)
    assert CrossEntropyLoss()(logits, classes).item() == pytest.approx(sum(expected) / 3, rel=1e-14)


@REDUCTIONS
def test_gradients(reduction: Reductions) -> None:
    rng = np.random.default_rng(1)
    for shape in ((), (1,), (4,), (2, 3)):
        gradcheck(MSELoss(reduction), [rng.normal(size=shape), rng.normal(size=shape)], rng)
        targets = np.asarray(rng.random(shape))
        gradcheck(
            lambda x, targets=targets: BCEWithLogitsLoss(reduction)(x, targets), [rng.normal(size=shape) + 0.1], rng
        )
    for shape in ((1, 1), (4, 3), (2, 3, 5), (7,)):
        classes = np.asarray(rng.integers(0, shape[-1], size=shape[:-1]))
        gradcheck(lambda x, classes=classes: CrossEntropyLoss(reduction)(x, classes), [rng.normal(size=shape)], rng)


@REDUCTIONS
def test_float32_losses_stay_float32(reduction: Reductions) -> None:
    for loss, shape, target in (
        (MSELoss(reduction), (3,), np.ones(3, "float32")),
        (BCEWithLogitsLoss(reduction), (3,), np.ones(3, "float32")),
        (CrossEntropyLoss(reduction), (3, 2), np.ones(3, np.int64)),
    ):
        x = leaf(*shape, dtype="float32")
        value = loss(x, target)
        value.backward(1.0)
        assert value.dtype == dense_gradient(x).dtype == np.float32


@pytest.mark.parametrize("loss", LOSSES)
def test_an_unknown_reduction_is_told(loss: type[MSELoss | BCEWithLogitsLoss | CrossEntropyLoss]) -> None:
    with pytest.raises(GraphError, match=r"reduction is .* not 'median'"):
        loss("median")  # type: ignore[arg-type]


def test_there_is_a_sum_but_no_mean_of_nothing() -> None:
    nothing = Tensor(np.zeros((0, 2)))
    for loss, target in (
        (MSELoss, np.zeros((0, 2))),
        (BCEWithLogitsLoss, np.zeros((0, 2))),
        (CrossEntropyLoss, np.zeros(0, np.int64)),
    ):
        with pytest.raises(GraphError, match=r"no mean of "):
            loss()(nothing, target)
        assert loss("sum")(nothing, target).item() == 0


@REDUCTIONS
@pytest.mark.parametrize("loss", LOSSES)
def test_more_clients_than_the_loss_was_stacked_for_are_refused(
    loss: type[MSELoss | BCEWithLogitsLoss | CrossEntropyLoss], reduction: Reductions
) -> None:
    stacked = loss(reduction).stack(3)
    for num_clients in range(1, 6):
        outputs = leaf(num_clients, 4, 2)
        target = np.zeros((num_clients, 4), np.int64) if loss is CrossEntropyLoss else np.zeros((num_clients, 4, 2))
        if num_clients <= 3:  # a model that `activate` has narrowed has fewer
            assert stacked(outputs, target).shape[0] == num_clients
            continue
        with pytest.raises(
            GraphError,
            match=rf"{loss.__name__}: stacked for 3 clients, .* of 3 or fewer, got shape \({num_clients}, 4, 2\)",
        ):
            stacked(outputs, target)
    with pytest.raises(GraphError, match=r"got shape \(5, 2\); one model takes the loss before `stack`"):
        loss(reduction).stack(2)(leaf(5, 2), np.zeros(5, np.int64) if loss is CrossEntropyLoss else np.zeros((5, 2)))


def test_shapes_dtypes_and_classes_must_fit() -> None:
    with pytest.raises(GraphError, match=r"squared_error: .*\(3,\).*\(3, 1\)"):
        MSELoss()(leaf(3), np.zeros((3, 1)))
    with pytest.raises(GraphError, match=r"sigmoid_cross_entropy: .*float32"):
        BCEWithLogitsLoss()(leaf(3), np.zeros(3, "float32"))
    with pytest.raises(GraphError, match=r"softmax_cross_entropy: .* 0 to 2"):
        CrossEntropyLoss()(leaf(2, 3), np.array([0, 3]))
    with pytest.raises(GraphError, match=r"softmax_cross_entropy: .*integers"):
        CrossEntropyLoss()(leaf(2, 3), np.array([0.0, 1.0]))
