"""Optimisers, clipping of gradients, and schedules of the learning rate."""

from fedgdl.optim.adagrad import Adagrad
from fedgdl.optim.adam import Adam, AdamW
from fedgdl.optim.clipping import clip_grad_norm, clip_grad_value
from fedgdl.optim.optimizer import Optimizer
from fedgdl.optim.schedule import CosineAnnealingLR, Schedule, StepLR
from fedgdl.optim.sgd import SGD
from fedgdl.optim.yogi import Yogi

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "Optimizer",
    "Schedule",
    "StepLR",
    "Yogi",
    "clip_grad_norm",
    "clip_grad_value",
]
