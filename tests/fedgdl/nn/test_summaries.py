"""Summaries: what they list, what they count, and that they change nothing."""

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor
from fedgdl.nn import (
    LSTM,
    Conv2d,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    EmbeddingBag,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    Parameter,
    ReLU,
    Sequential,
    Tanh,
)


def network() -> Sequential:
    rng = np.random.default_rng(1)
    return Sequential(
        Conv2d(1, 8, 3, rng=rng), ReLU(), MaxPool2d(2), Dropout(0.5), Flatten(), Linear(32, 10, bias=False, rng=rng)
    )


def test_each_layer_has_a_row() -> None:
    summary = network().summary((5, 6, 6, 1))
    assert [(row.path, row.layer, row.output_shape, row.num_parameters) for row in summary.rows] == [
        ("", "Sequential", (5, 10), 0),
        ("0", "Conv2d", (5, 4, 4, 8), 80),
        ("1", "ReLU", (5, 4, 4, 8), 0),
        ("2", "MaxPool2d", (5, 2, 2, 8), 0),
        ("3", "Dropout", (5, 2, 2, 8), 0),
        ("4", "Flatten", (5, 32), 0),
        ("5", "Linear", (5, 10), 320),
    ]
    assert summary.num_parameters == sum(row.num_parameters for row in summary.rows) == 400
    assert summary.parameter_bytes == 1_600
    assert summary.output_bytes == 4 * 5 * (2 * 128 + 3 * 32 + 10)


def test_it_prints_as_an_aligned_table() -> None:
    assert str(network().summary(np.zeros((5, 6, 6, 1), "float32"))).splitlines() == [
        "path  layer       output shape  parameters",
        "      Sequential  (5, 10)                0",
        "0     Conv2d      (5, 4, 4, 8)          80",
        "1     ReLU        (5, 4, 4, 8)           0",
        "2     MaxPool2d   (5, 2, 2, 8)           0",
        "3     Dropout     (5, 2, 2, 8)           0",
        "4     Flatten     (5, 32)                0",
        "5     Linear      (5, 10)              320",
        "400 parameters in 1,600 bytes; the layers' outputs take 7,240 bytes",
    ]


def test_nothing_of_the_model_changes() -> None:
    model = network()
    flat = model.flatten()
    rng = np.random.default_rng(1)
    model.train(rng)
    vector, state = flat.vector.copy(), rng.bit_generator.state
    model.summary((5, 6, 6, 1))
    assert model.flatten() is flat
    np.testing.assert_array_equal(flat.vector, vector)
    assert rng.bit_generator.state == state
    assert all(module.training and "forward" not in vars(module) for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model[3].rng is rng
    assert model.fuse


class Reader(Module):
    """Several inputs and outputs, parameters of its own and in a list, a shared layer, and one that is not called."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.words = Embedding(7, 3, rng=rng, dtype="float64")
        self.bags = EmbeddingBag(7, 4, rng=rng, dtype="float64")
        self.layer = LSTM(3, 4, rng=rng, dtype="float64")
        self.scales = [Parameter(np.ones(4)), Parameter(np.ones(()))]
        self.tied = self.words.weight
        self.out = [Linear(4, 2, rng=rng, dtype="float64")]
        self.again = self.out[0]
        self.unused = Tanh()

    def forward(
        self, ids: npt.NDArray[np.int64], token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, state = self.layer(self.words(ids))
        bags = self.bags(token_ids, offsets) * self.scales[0] * self.scales[1]
        self.again(bags)
        return self.out[0](outputs), state


def test_modules_of_any_kind_are_listed() -> None:
    summary = Reader().summary(np.zeros((5, 2), np.int64), np.array([1, 2]), np.array([0, 2]))
    assert [(row.path, row.layer, row.output_shape, row.num_parameters) for row in summary.rows] == [
        ("", "Reader", ((5, 2, 2), ((2, 4), (2, 4))), 5),
        ("words", "Embedding", (5, 2, 3), 21),
        ("bags", "EmbeddingBag", (1, 4), 28),
        ("layer", "LSTM", ((5, 2, 4), ((2, 4), (2, 4))), 128),
        ("out.0", "Linear", (5, 2, 2), 10),
        ("unused", "Tanh", None, 0),
    ]
    assert "not called" in str(summary)
    assert summary.num_parameters == 192
    assert summary.parameter_bytes == 192 * 8
    # The linear layer was called twice: with one row and with ten.
    assert summary.output_bytes == 8 * (5 * 2 * 3 + 4 + 5 * 2 * 4 + 2 * 2 * 4 + 2 + 5 * 2 * 2)


def test_a_stack_is_summed_up_too() -> None:
    summary = Linear(3, 2, rng=np.random.default_rng(1)).stack(4).summary((4, 5, 3))
    assert summary.rows[0].output_shape == (4, 5, 2)
    assert summary.num_parameters == 4 * 8


def test_a_shape_stands_for_zeros_of_the_model_s_dtype() -> None:
    assert Linear(3, 2, rng=np.random.default_rng(1), dtype="float64").summary((1, 3)).output_bytes == 16
    assert Tanh().summary((2, 3)).output_bytes == 24
    summary = CrossEntropyLoss().summary((4, 3), np.zeros(4, np.int64))
    assert summary.rows[0].output_shape == ()
    assert summary.num_parameters == summary.parameter_bytes == 0
