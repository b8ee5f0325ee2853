"""What "Grokking Deep Learning", chapter 13, says a tensor does, checked where the book gives the numbers."""

import numpy as np
import pytest
from tensors import dense_gradient

from fedgdl.autograd import Tensor, neg


def five(*, sign: int = 1) -> Tensor:
    return Tensor(sign * np.arange(1.0, 6.0), requires_grad=True)


def test_a_tensor_plus_itself() -> None:
    x = five()
    np.testing.assert_array_equal((x + x).data, [2, 4, 6, 8, 10])


def test_a_sum_hands_its_gradient_to_both() -> None:
    a, b = five(), five()
    (a + b).backward(np.ones(5))
    np.testing.assert_array_equal(a.grad, np.ones(5))
    np.testing.assert_array_equal(b.grad, np.ones(5))


def test_a_sum_of_sums_hands_its_gradient_to_all_four() -> None:
    a, b, c, d = (five() for _ in range(4))
    ((a + b) + (c + d)).backward(np.ones(5))
    for x in (a, b, c, d):
        np.testing.assert_array_equal(x.grad, np.ones(5))


def test_a_tensor_used_twice_has_the_gradients_of_both_uses() -> None:
    a, b, c = five(), five(), five(sign=-1)
    ((a + b) + (b + c)).backward(np.ones(5))
    np.testing.assert_array_equal(b.grad, [2, 2, 2, 2, 2])


def test_a_negated_tensor_used_twice() -> None:
    a, b, c = five(), five(), five(sign=-1)
    ((a + neg(b)) + (-b + c)).backward(np.ones(5))
    np.testing.assert_array_equal(b.grad, [-2, -2, -2, -2, -2])


def test_sums_along_either_axis() -> None:
    x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(x.sum(0).data, [5, 7, 9])
    np.testing.assert_array_equal(x.sum(1).data, [6, 15])


def test_an_axis_of_copies_by_broadcasting() -> None:
    # The book's expand(dim=2, copies=4).
    x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    copies = x[:, :, None] + np.zeros(4)
    assert copies.shape == (2, 3, 4)
    for copy in range(4):
        np.testing.assert_array_equal(copies.data[..., copy], x.data)
    copies.backward(1.0)
    np.testing.assert_array_equal(x.grad, np.full((2, 3), 4.0))


@pytest.mark.parametrize("ids", [np.array([[1, 2, 3], [2, 3, 4]]), [[1, 2, 3], [2, 3, 4]]], ids=["array", "list"])
def test_rows_by_index_add_up_what_is_named_twice(ids: list[list[int]]) -> None:
    x = Tensor(np.eye(5), requires_grad=True)
    rows = x[ids]
    assert rows.shape == (2, 3, 5)
    rows.backward(np.ones((2, 3, 5)))
    np.testing.assert_array_equal(dense_gradient(x), np.repeat([[0.0], [1], [2], [2], [1]], 5, axis=1))
