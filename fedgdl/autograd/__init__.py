"""Tensors that remember how they were computed, their operations, and the check of a gradient."""

from fedgdl.autograd.gradcheck import gradcheck
from fedgdl.autograd.operations import (
    add,
    embedding_bag,
    matmul,
    mean,
    mul,
    neg,
    reshape,
    sigmoid,
    squared_error,
    sub,
    sum,  # noqa: A004 (the name NumPy users look for)
)
from fedgdl.autograd.parameter import GradientVector, Parameter
from fedgdl.autograd.sparse import SparseGradient
from fedgdl.autograd.tensor import Tensor, no_grad

__all__ = [
    "GradientVector",
    "Parameter",
    "SparseGradient",
    "Tensor",
    "add",
    "embedding_bag",
    "gradcheck",
    "matmul",
    "mean",
    "mul",
    "neg",
    "no_grad",
    "reshape",
    "sigmoid",
    "squared_error",
    "sub",
    "sum",
]
