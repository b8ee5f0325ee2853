"""A program in which a worker trains ann, ben and cat, or asks them for a stage, with one fault of ben's.

Its arguments: kind and moment; a stage's name has them asked for that.

Prints what happens as it happens: `trained` for each client's training and the client's id for each answer.
"""

import sys
from typing import Any

import numpy.typing as npt
from federation import Bench, LineTask, make_experiment, told
from staged import STAGES, TRAINS

from fedgdl.config import FaultConfig, FaultsConfig
from fedgdl.wire import StageTask, encode


class TellingTask(LineTask):
    """Says when it has trained a client: each has one batch."""

    def count_correct(self, prediction: npt.NDArray[Any], batch: Any) -> int:
        """Returns how many predictions are right, and says that training is over."""
        say("trained")
        return super().count_correct(prediction, batch)


def say(word: str) -> None:
    """Prints a word at once, since a killed process prints nothing later."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    kind, moment = sys.argv[1:]
    fault = FaultConfig(kind, "ben", round=1, when=moment)  # type: ignore[arg-type]
    experiment = make_experiment(faults=FaultsConfig((fault,)))
    training = type(experiment.training)(learning_rate=0.1, batch_size=100)
    bench = Bench(make_experiment(faults=experiment.faults, training=training), TellingTask())
    for round_index in (2, 1):  # in round 2 nothing goes wrong
        if moment in STAGES and moment != TRAINS:
            task = StageTask(round_index, moment, told(["ann", "ben", "cat"]))  # type: ignore[arg-type]
            frames = bench.worker.handle(encode(task))
        else:
            frames = bench.answer_frames(["ann", "ben", "cat"], round_index)
        for frame in frames:
            say(str(getattr(bench.codec.decode(frame), "client_id", "?")))
