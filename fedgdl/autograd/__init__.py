"""Tensors that remember how they were computed, their operations, and the check of a gradient."""

from fedgdl.autograd.activation import log_softmax, relu, sigmoid, softmax, tanh
from fedgdl.autograd.arithmetic import (
    add,
    div,
    exp,
    log,
    mul,
    neg,
    pow,  # noqa: A004 (the names Python and NumPy users look for)
    sub,
)
from fedgdl.autograd.convolution import conv2d
from fedgdl.autograd.dropout import dropout
from fedgdl.autograd.embedding import embedding, embedding_bag, embedding_linear
from fedgdl.autograd.gradcheck import gradcheck
from fedgdl.autograd.loss import sigmoid_cross_entropy, softmax_cross_entropy, squared_error
from fedgdl.autograd.parameter import GradientVector, Parameter
from fedgdl.autograd.pooling import max_pool2d
from fedgdl.autograd.product import linear, matmul
from fedgdl.autograd.recurrent import lstm, rnn
from fedgdl.autograd.reduction import (
    max,  # noqa: A004
    mean,
    sum,  # noqa: A004
)
from fedgdl.autograd.shape import concat, gather, getitem, reshape, stack, swapaxes, transpose
from fedgdl.autograd.sparse import SparseGradient
from fedgdl.autograd.tape import no_grad
from fedgdl.autograd.tensor import Tensor, record

__all__ = [
    "GradientVector",
    "Parameter",
    "SparseGradient",
    "Tensor",
    "add",
    "concat",
    "conv2d",
    "div",
    "dropout",
    "embedding",
    "embedding_bag",
    "embedding_linear",
    "exp",
    "gather",
    "getitem",
    "gradcheck",
    "linear",
    "log",
    "log_softmax",
    "lstm",
    "matmul",
    "max",
    "max_pool2d",
    "mean",
    "mul",
    "neg",
    "no_grad",
    "pow",
    "record",
    "relu",
    "reshape",
    "rnn",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "squared_error",
    "stack",
    "sub",
    "sum",
    "swapaxes",
    "tanh",
    "transpose",
]
