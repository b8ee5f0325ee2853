"""Layers, losses, and the module that finds their parameters; `Parameter` comes from the autograd core."""

from fedgdl.autograd import Parameter
from fedgdl.nn import init
from fedgdl.nn.activation import ReLU, Sigmoid, Softmax, Tanh
from fedgdl.nn.convolution import Conv2d, MaxPool2d
from fedgdl.nn.dropout import Dropout
from fedgdl.nn.embedding import Embedding, EmbeddingBag
from fedgdl.nn.linear import Linear
from fedgdl.nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from fedgdl.nn.module import Module
from fedgdl.nn.recurrent import LSTM, RNN, LSTMCell, RNNCell
from fedgdl.nn.sequential import Sequential
from fedgdl.nn.shape import Flatten
from fedgdl.nn.summaries import Summary

__all__ = [
    "LSTM",
    "RNN",
    "BCEWithLogitsLoss",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "EmbeddingBag",
    "Flatten",
    "LSTMCell",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "Parameter",
    "RNNCell",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Summary",
    "Tanh",
    "init",
]
