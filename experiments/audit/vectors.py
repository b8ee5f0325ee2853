"""The vectors in received frames, as the words to be tested: masked ones, encoded ones, or plain floating point.

Not here: encrypted ones (`experiments.audit.encrypted`), and what vectors tell (`experiments.audit.checks`).

Example:
    >>> import numpy as np
    >>> from fedgdl.config import Experiment, TrainingConfig
    >>> from fedgdl.parameters import Layout
    >>> from fedgdl.wire import PlainUpdate, TrainResult, encode, encode_struct
    >>> experiment = Experiment("two", "spam", TrainingConfig(learning_rate=0.1))
    >>> terms = {"weighted_delta": np.array([1.0, -2.0], np.float32).tobytes(), "weight": np.float32(1).tobytes()}
    >>> payload = encode_struct(PlainUpdate(terms, num_examples=1, train_loss=0.5, train_accuracy=1.0))
    >>> reader = VectorReader(experiment, Layout.of({"w": (2,)}))
    >>> reader.read(encode(TrainResult(1, "bob", payload))).values
    array([ 1., -2.,  1.])
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.audit.checks import VectorChecks
from experiments.audit.examiner import MAX_FRAME_BYTES, Truth
from experiments.audit.tallies import Check, Correlation
from fedgdl.config import Experiment
from fedgdl.errors import CryptoError, WireError
from fedgdl.federated import make_strategy
from fedgdl.federated.encoding import make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.wire import Codec, EncodedPlainUpdate, ToCoordinator, TrainResult, decode_struct
from server.aggregation import read_plain_update

__all__ = ["ReceivedVector", "VectorExaminer", "VectorReader"]


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedVector:
    """One client's vector.

    Attributes:
        words: (d,) unsigned integers: what masks make uniform, or else the numbers' bits.
        values: (d,) the numbers.
        unmasked: (d,) of a plain run, what lies beneath the mask that it has not; of a protected one, of no meaning.
    """

    words: npt.NDArray[Any]
    values: npt.NDArray[np.float64]
    unmasked: npt.NDArray[Any]


class VectorReader:
    """Reads the payloads of the training stage of one experiment.

    Args:
        experiment: the configuration, with cohort size and largest weight settled where updates are encoded.
        layout: the model's.

    Attributes:
        num_bytes: of a word, as it crosses the wire.
        stage: the name of the stage whose payloads are read.
        encoding: how updates were encoded; none where they were not.
    """

    def __init__(self, experiment: Experiment, layout: Layout) -> None:
        strategy = make_strategy(experiment.strategy)
        self._is_private = experiment.aggregation.is_private
        self._shapes, self._dtype = strategy.sum_shapes(layout), np.dtype(layout.dtype)
        self._codec: Codec[ToCoordinator] = Codec(ToCoordinator, MAX_FRAME_BYTES)
        is_encoded = experiment.aggregation.is_encoded
        self.encoding = make_update_encoding(experiment, strategy, layout) if is_encoded else None
        self.num_bytes = self._dtype.itemsize if self.encoding is None else self.encoding.bytes_per_slot
        self.stage = "masked input" if self._is_private else "train"

    def read(self, frame: bytes) -> ReceivedVector:
        """Returns the vector in a frame.

        Raises:
            WireError: there is none in it.
        """
        message = self._codec.decode(frame)
        if not isinstance(message, TrainResult):
            text = f"no update, but {type(message).__name__}"
            raise WireError(text)
        if self.encoding is None:
            _, terms = read_plain_update(message.payload, self._shapes, self._dtype)
            floats = np.concatenate([term.reshape(-1) for term in terms.values()])
            return ReceivedVector(floats.view(f"<u{self._dtype.itemsize}"), floats.astype(np.float64), floats)
        payload = message.payload
        if not self._is_private:
            payload = decode_struct(payload, EncodedPlainUpdate).vector
        try:
            words = self.encoding.unpack(payload)
        except CryptoError as error:
            raise WireError(str(error)) from error
        return ReceivedVector(words, words.astype(np.float64), words)


class VectorExaminer:
    """Reads the payloads of the training stage, and tells what their vectors show.

    Args:
        experiment: as for `VectorReader`.
        layout: the model's.

    Attributes:
        stage: the name of the stage whose payloads are read.
        encoding: how updates were encoded; none where they were not.
        byte_labels: what the rows of `counts` are.
    """

    def __init__(self, experiment: Experiment, layout: Layout) -> None:
        self._reader = VectorReader(experiment, layout)
        self._is_private = experiment.aggregation.is_private
        self._checks = VectorChecks(self._reader.num_bytes)
        self.stage, self.encoding = self._reader.stage, self._reader.encoding
        self.byte_labels = tuple(f"byte {index}{'' if index else ' (lowest)'}" for index in range(len(self.counts)))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(bytes of a word, 256) how often each byte had each value."""
        return self._checks.counts

    @property
    def correlations(self) -> list[Correlation]:
        """Of each vector with the update beneath it."""
        return self._checks.correlations

    def take(self, round_index: int, client_id: str, frame: bytes, truth: Truth) -> None:
        """Takes one client's vector in.

        Raises:
            WireError: there is none in the frame.
        """
        vector = self._reader.read(frame)
        beneath = truth(round_index, client_id) if self._is_private else vector.unmasked
        fits = beneath is not None and beneath.shape == vector.words.shape
        self._checks.add(round_index, client_id, vector.words, beneath if fits else None, vector.values)

    def results(self) -> list[Check]:
        """Returns what the vectors so far tell."""
        return self._checks.results()
