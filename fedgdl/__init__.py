"""The library of fedgdl: models on a NumPy autograd core, data, and the parts of federated learning.

Import from here to use the core by itself (`from fedgdl import Tensor, nn, optim`). Runs of whole
federations are started from `experiments`, which stands above this package.
"""

from fedgdl import nn, optim
from fedgdl.autograd import Tensor, no_grad

__all__ = ["Tensor", "__version__", "nn", "no_grad", "optim"]

__version__ = "0.1.0"
