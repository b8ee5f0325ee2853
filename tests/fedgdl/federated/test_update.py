import numpy as np
import pytest

from fedgdl.federated import ClientUpdate


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_bad_element_makes_an_update_unusable(value: float) -> None:
    delta = np.zeros(1_000, "float32")
    assert ClientUpdate(delta, 1, 0.0, 1.0).is_finite
    delta[617] = value
    assert not ClientUpdate(delta, 1, 0.0, 1.0).is_finite
