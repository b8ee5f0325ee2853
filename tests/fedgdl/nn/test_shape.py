"""Flatten: one axis for all that an example has."""

import numpy as np
import pytest
from tensors import dense_gradient, leaf

from fedgdl.nn import Flatten


@pytest.mark.parametrize(
    ("shape", "flat"), [((2, 3, 4, 5), (2, 60)), ((2, 3), (2, 3)), ((4,), (4, 1)), ((0, 3, 2), (0, 6))]
)
def test_examples_become_rows(shape: tuple[int, ...], flat: tuple[int, ...]) -> None:
    x = leaf(*shape)
    y = Flatten()(x)
    np.testing.assert_array_equal(y.data, x.data.reshape(flat))
    y.backward(1.0)
    assert dense_gradient(x).shape == shape


def test_in_a_stack_clients_stay_apart() -> None:
    assert Flatten().stack(2)(leaf(2, 3, 4, 5)).shape == (2, 3, 20)
