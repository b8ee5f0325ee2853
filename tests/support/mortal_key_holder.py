"""The program of a key holder that ends itself by SIGKILL at a stated moment, once; its successor lives on."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from clients.key_holder.key_holder import KeyHolder
from clients.key_holder.process import KeyHolderSetup, make_key_holder
from clients.worker_process import serve
from fedgdl.runtime import LogEnd
from fedgdl.wire import Codec
from fedgdl.wire.paillier import AddUpdate, OpenSum, ToKeyHolder

__all__ = ["Fate", "main"]


@dataclass(frozen=True)
class Fate:
    """What the program is started with.

    Attributes:
        setup: of a key holder.
        when: it dies: on the second update; when a sum is decrypted and nothing given out yet; or after that.
        mark: a file that is made when it dies; with that there nobody dies any more.
    """

    setup: KeyHolderSetup
    when: Literal["adding", "opening", "opened"]
    mark: Path


class MortalKeyHolder:
    """A real key holder, until its hour has come."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        self._key_holder: KeyHolder = make_key_holder(fate.setup)
        self._codec: Codec[ToKeyHolder] = Codec(ToKeyHolder, 10_000_000)
        self._num_updates = 0

    @property
    def is_shut_down(self) -> bool:
        """Whether it has been told to end."""
        return self._key_holder.is_shut_down

    def ready(self) -> bytes:
        """Returns what it has loaded."""
        return self._key_holder.ready()

    def handle(self, frame: bytes) -> Iterator[bytes]:
        """Yields answers, or dies."""
        message = self._codec.decode(frame)
        self._num_updates += isinstance(message, AddUpdate)
        answers = list(self._key_holder.handle(frame))
        if self._fate.when == "adding" and self._num_updates == 2:
            self._die()
        if self._fate.when == "opening" and isinstance(message, OpenSum):
            self._die()
        yield from answers
        if self._fate.when == "opened" and isinstance(message, OpenSum):
            self._die()

    def _die(self) -> None:
        with contextlib.suppress(FileExistsError):
            self._fate.mark.touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)


def main(connection: "Connection[bytes, bytes]", log_end: LogEnd, fate: Fate) -> None:
    """Runs the key holder in a process."""
    serve(connection, log_end, fate.setup.log_level, lambda: contextlib.nullcontext(MortalKeyHolder(fate)))
