"""Parameters of several clients at once, as a stacked model has them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import GradientVector, Parameter
from fedgdl.parameters import Layout, Parameters


def stacked_parameter(values: npt.NDArray[Any]) -> Parameter:
    """A parameter (K, ...) in a stack of K vectors that hold others too: contiguous for each client, not as a whole."""
    layout = Layout.of({"before": (3,), "stacked": values.shape[1:], "after": (2,)}, values.dtype.name)  # type: ignore[arg-type]
    parameter = Parameter(values)
    parameter.bind(
        "stacked",
        Parameters(layout, np.zeros((len(values), layout.size), values.dtype)),
        GradientVector(layout, len(values)),
    )
    return parameter
