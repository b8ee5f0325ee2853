"""Signals: one way to end, at a moment of our choosing.

Only the main thread of a process can change how signals are handled; elsewhere these context
managers do nothing.

Example:
    >>> with terminate_as_interrupt(), interrupts_deferred():
    ...     pass
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["ignore_interrupts", "interrupts_deferred", "terminate_as_interrupt"]


def ignore_interrupts() -> None:
    """Makes this process deaf to Ctrl-C, which reaches every process of the terminal's group.

    Also takes back a deferral inherited from the process that started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Holds Ctrl-C back until the block has ended, and SIGTERM while that counts as Ctrl-C.

    Processes started within inherit the deferral of Ctrl-C.
    """
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if callable(signal.getsignal(number)):
                    stack.enter_context(_noted(number))
        if hasattr(signal, "pthread_sigmask"):  # Windows has no signal masks
            stack.enter_context(_blocked(signal.SIGINT))
        yield


@contextlib.contextmanager
def _noted(number: signal.Signals) -> Iterator[None]:
    """Takes note of a signal, and raises it when the block has ended.

    A signal mask alone would not do: it is the mask of one thread, and the operating system gives a
    signal to any thread that does not block it, which interrupts the main thread all the same.
    """
    arrived: list[int] = []
    former = signal.signal(number, lambda number, _frame: arrived.append(number))
    try:
        yield
    finally:
        signal.signal(number, former)
        if arrived:
            signal.raise_signal(number)


@contextlib.contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextlib.contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Treats SIGTERM as Ctrl-C while the block runs: KeyboardInterrupt in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
