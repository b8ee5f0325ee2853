"""Generated stories with questions, in the form of the bAbI tasks: runs and tests without bAbI.

All twenty tasks are there: people who move, carry things and are spoken of as she, he or they; directions,
sizes, kinds and wishes. The answers are right. `data.examples` says how many training lines there
are in all, the same number in each task, and a fifth as many for testing; the natural clients are the
tasks.

The stories vary less than those of bAbI: numbers reached on them say nothing about it.

Example:
    >>> tasks = tell_tasks(30, seed=1)
    >>> len(tasks), len(tasks[1]["train"]), len(tasks[1]["test"])
    (20, 30, 6)
"""

from pathlib import Path
from typing import Final

from fedgdl.config import DataConfig
from fedgdl.data.sources.babi import NAMES, Tasks, split_tasks
from fedgdl.data.sources.synthetic_households import TELLERS as HOUSEHOLDS
from fedgdl.data.sources.synthetic_riddles import TELLERS as RIDDLES
from fedgdl.data.sources.synthetic_telling import Story
from fedgdl.data.split import Split, SplitSource
from fedgdl.seeding import stream

__all__ = ["SOURCE", "tell_tasks"]

_TRAIN_PER_TEST: Final = 5
_TELLERS: Final = HOUSEHOLDS | RIDDLES


def tell_tasks(num_lines: int, seed: int) -> Tasks:
    """Returns generated lines of all tasks.

    Args:
        num_lines: training lines of each task, and a fifth as many test lines, but at least one; the last story may
            end early.
        seed: of the stories.
    """
    num_test = max(1, num_lines // _TRAIN_PER_TEST)
    return {
        number: {"train": _tell(number, "train", num_lines, seed), "test": _tell(number, "test", num_test, seed)}
        for number in NAMES
    }


def _tell(number: int, part: str, num_lines: int, seed: int) -> tuple[str, ...]:
    rng = stream(seed, f"synthetic-stories/{part}", client_id=NAMES[number])
    lines: list[str] = []
    while len(lines) < num_lines:
        story = Story(rng)
        _TELLERS[number](story)
        lines += story.lines
    return tuple(lines[:num_lines])


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (generated: no files)
    return split_tasks(tell_tasks(max(1, config.examples // len(NAMES)), seed), config)


SOURCE: Final = SplitSource(
    name="synthetic-stories",
    title="Generated stories, twenty tasks",
    licence="as this library",
    is_synthetic=True,
    split=_split,
    settings=("examples", "min_count"),
    is_seeded=True,
    example_noun="lines",
)
