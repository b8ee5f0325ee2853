"""Checks of what layers are made with: what is taken, as what it comes out, and what the messages name."""

from typing import Any

import numpy as np
import pytest

from fedgdl.errors import ParameterError
from fedgdl.nn.checks import flag, sides, whole


@pytest.mark.parametrize("value", [True, np.True_])
def test_truth_values_come_out_as_pythons(value: Any) -> None:
    assert flag("Layer", "bias", value) is True
    assert flag("Layer", "bias", not value) is False


@pytest.mark.parametrize("value", [None, 0, 1, "no", np.ones(1, bool)], ids=repr)
def test_what_only_counts_as_true_or_false_is_refused(value: Any) -> None:
    with pytest.raises(ParameterError, match="Layer: bias must be True or False, got "):
        flag("Layer", "bias", value)


@pytest.mark.parametrize("kind", [int, np.int8, np.uint64, np.array])
def test_whole_numbers_of_any_type_come_out_as_pythons(kind: Any) -> None:
    assert type(whole("Layer", "size", kind(3), at_least=3)) is int
    assert sides("Layer", "size", kind(3)) == (3, 3)
    assert [type(side) for side in sides("Layer", "size", (kind(3), kind(4)))] == [int, int]
    with pytest.raises(ParameterError, match="Layer: size must be a whole number from 4 on, got "):
        whole("Layer", "size", kind(3), at_least=4)


def test_a_generator_in_the_wrong_place_is_told_its_name() -> None:
    with pytest.raises(ParameterError, match=r"got Generator.*; pass the generator by name: rng=\.\.\."):
        whole("Layer", "size", np.random.default_rng(1), at_least=1)
