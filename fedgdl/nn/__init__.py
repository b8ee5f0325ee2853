"""Layers, losses, and the module that finds their parameters; `Parameter` comes from the autograd core."""

from fedgdl.autograd import Parameter
from fedgdl.nn.activation import Sigmoid
from fedgdl.nn.embedding import EmbeddingBag
from fedgdl.nn.losses import MSELoss
from fedgdl.nn.module import Module

__all__ = ["EmbeddingBag", "MSELoss", "Module", "Parameter", "Sigmoid"]
