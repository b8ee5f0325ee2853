"""A process that reads shared parameters, as a worker does; its code must be importable where it runs."""

from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from fedgdl.errors import FedgdlError
from fedgdl.parameters import Layout
from fedgdl.runtime import SharedParameters

Request = tuple[int, int, str] | None
"""(slot, version, sha256) to read, or none to end."""


def answer_requests(connection: "Connection[Any, Request]", layout: Layout, name: str) -> None:
    """Reads what is asked for and sends it back, or the error's text; ends with a try to overwrite the block."""
    with SharedParameters(layout, name) as memory:
        while (request := connection.recv()) is not None:
            try:
                connection.send(memory.slots.read(*request))
            except FedgdlError as error:
                connection.send(f"{type(error).__name__}: {error}")
        try:
            memory.slots.publish(np.zeros(layout.size, layout.dtype))
        except ValueError as error:
            connection.send(str(error))
