"""Which hand-written step belongs to which model."""

from typing import Final

from experiments.benchmarks.core.hand_bags import SentimentBag, SentimentBags, SpamBag
from experiments.benchmarks.core.hand_convolution import Cnn, McMahanCnn
from experiments.benchmarks.core.hand_dense import Mlp, MlpOfOne, ReluMlpOfOne
from experiments.benchmarks.core.hand_recurrent import AnswerRnn, CharLstm, CharRnn
from experiments.benchmarks.core.workload import MakeSide, Model, Side, Weights, Workload

__all__ = ["by_hand"]

_FOR_SEVERAL: Final[dict[Model, MakeSide]] = {
    "mlp": Mlp,
    "cnn": Cnn,
    "mcmahan-cnn": McMahanCnn,
    "spam-bag": lambda workload, start: SpamBag(
        start, batch_size=workload.batch_size, learning_rate=workload.learning_rate
    ),
    "sentiment-bag": SentimentBags,
    "char-rnn": CharRnn,
    "char-lstm": CharLstm,
    "answer-rnn": AnswerRnn,
}
_FOR_ONE: Final[dict[Model, MakeSide]] = {"mlp": MlpOfOne, "relu-mlp": ReluMlpOfOne, "sentiment-bag": SentimentBag}


def by_hand(workload: Workload, start: Weights) -> Side:
    """Returns the fastest step by hand for the workload's model and batch size."""
    make = (_FOR_ONE if workload.batch_size == 1 else _FOR_SEVERAL)[workload.model]
    return make(workload, start)
