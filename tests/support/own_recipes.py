"""Small recipes of one's own, found in worker processes as `own_recipes:NAME`."""

import logging
import math
import os
import signal
import time
from collections.abc import Callable

import numpy as np

from fedgdl.errors import FedgdlError
from fedgdl.parameters import Layout, Parameters
from fedgdl.progress import watched
from fedgdl.zoo.pictures import Images, Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, equal, exactly


def _recipe(name: str, run: object, *expected: Expected, seconds: float = 1.0, shared_training: str = "") -> Recipe:
    return Recipe(
        name=name,
        chapter=4,
        section="Compare",
        summary=f"the recipe {name}",
        model="none",
        data="none",
        settings={},
        run=run,  # type: ignore[arg-type]
        expected=expected or (Expected("sum", 3.0, exactly, "goal"),),
        shared_training=shared_training,
        seconds=(seconds, seconds),
    )


def _add(_: Setting) -> Outcome:
    parameters = Parameters(Layout.of({"weight": (2,)}, "float64"))
    parameters["weight"][:] = [1.0, 2.0]
    return Outcome({"sum": np.float64(parameters.vector.sum())}, {"said": Text("said", "1 + 2 = 3")}, parameters)


def _raise(_: Setting) -> Outcome:
    message = "no luck today"
    raise ArithmeticError(message)


def _exit(_: Setting) -> Outcome:
    raise SystemExit(0)


def _raise_nothing(_: Setting) -> Outcome:
    raise FedgdlError


def _measure(**measured: object) -> Callable[[Setting], Outcome]:
    return lambda _: Outcome({"sum": 3.0, **measured})  # type: ignore[dict-item] # some of it wrong on purpose


def _return_nothing(_: Setting) -> None:
    """Forgets its outcome."""


def _die(_: Setting) -> Outcome:
    os.kill(os.getpid(), signal.SIGKILL)
    return Outcome({})


def _draw_nonsense(_: Setting) -> Outcome:
    return Outcome({"sum": 3.0}, {"image": Images("one axis too few", np.zeros((3, 3)))})


def _draw_no_picture(_: Setting) -> Outcome:
    return Outcome({"sum": 3.0}, {"image": "no picture"})  # type: ignore[dict-item]


def _tell_process(_: Setting) -> Outcome:
    return Outcome({"sum": 3.0, "process": os.getpid()})


def _take_long(_: Setting) -> Outcome:
    for _step in watched(range(3000), "long"):
        time.sleep(0.1)
    return Outcome({"sum": 3.0})


def _warn(_: Setting) -> Outcome:
    for text in ("mind the gap", "and the other one", "mind the gap"):
        logging.getLogger("own").warning(text)
    return Outcome({"sum": 3.0})


RIGHT = _recipe("own-right", _add)
WRONG = _recipe("own-wrong", _add, Expected("sum", 4.0, equal, "goal"))
LASTING = _recipe("own-lasting", _add, seconds=9.0)
RAISES = _recipe("own-raises", _raise)
DIES = _recipe("own-dies", _die, seconds=2.0, shared_training="own")
FIRST = _recipe("own-first", _tell_process, seconds=2.0, shared_training="own")
SECOND = _recipe("own-second", _tell_process, shared_training="own")
WARNS = _recipe("own-warns", _warn)
NONSENSE = _recipe("own-nonsense", _draw_nonsense)
LONG = _recipe("own-long", _take_long, seconds=0.5)
EXITS = _recipe("own-exits", _exit)
MUTE = _recipe("own-mute", _raise_nothing)
NOTHING = _recipe("own-nothing", _return_nothing)
ARRAYS = _recipe("own-arrays", _measure(table=np.zeros(3)))
STRANGE = _recipe(
    "own-strange",
    _measure(
        sum=math.nan,
        several=(1.0, math.inf, -math.inf),
        truth=np.bool_(1),
        small=np.float32(0.5),
        huge=10**30,
        name="caf\udce9",
    ),
)
"""Measures what JSON has no word for."""
UNDRAWABLE = _recipe("own-undrawable", _draw_no_picture)
OUTSIDE = _recipe("../outside", _add)
"""A name that would lead out of the run's folder."""
