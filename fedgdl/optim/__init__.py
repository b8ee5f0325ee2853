"""Optimisers of a client's local training."""

from fedgdl.optim.sgd import SGD

__all__ = ["SGD"]
