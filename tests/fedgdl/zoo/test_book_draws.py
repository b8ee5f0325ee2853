"""The book's start weights: drawn again as it drew them, names of tensors included."""

import numpy as np
import pytest

from fedgdl.zoo.book_draws import BookDraws, given


def test_names_take_numbers_from_the_same_stream() -> None:
    plain, named = BookDraws(num_names=0), BookDraws()
    plain.name_tensors(2)
    named.name_tensors(2)
    assert (plain.even((2, 3)) != named.even((2, 3))).all()


def test_without_names_the_draws_are_those_of_the_generator() -> None:
    draws, generator = BookDraws(num_names=0), np.random.RandomState(0)
    np.testing.assert_array_equal(draws.even((2, 3)), generator.rand(2, 3))
    np.testing.assert_array_equal(draws.embedding(4, 2), (generator.rand(4, 2) - 0.5) / 2)
    np.testing.assert_array_equal(draws.linear(8, 3), generator.randn(8, 3) / 2)


@pytest.mark.parametrize(("bias", "num_names"), [(True, 2), (False, 1)])
def test_a_bias_takes_a_name_of_its_own(*, bias: bool, num_names: int) -> None:
    draws, generator = BookDraws(), np.random.RandomState(0)
    draws.linear(2, 2, bias=bias)
    generator.randn(2, 2)
    for _ in range(num_names):
        generator.randint(0, 100_000)
    np.testing.assert_array_equal(draws.even((1, 1))[0], generator.rand(1))


def test_given_values_are_copied_in_the_dtype_asked_for() -> None:
    values = np.eye(2)
    made = given(values)((2, 2), None, "float64")
    made[0, 0] = 5
    assert values[0, 0] == 1
    assert given(values)((2, 2), None, "float32").dtype == np.float32
