"""Signals: one way to end, at a moment of our choosing.

Only the main thread of a process can change how signals are handled; elsewhere these context
managers do nothing.

Example:
    >>> with interrupted_once(), interrupts_deferred():
    ...     pass
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["hangups_deferred", "ignore_interrupts", "interrupted_once", "interrupts_deferred"]


def ignore_interrupts() -> None:
    """Makes this process deaf to Ctrl-C, which reaches every process of the terminal's group.

    Also takes back a deferral inherited from the process that started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Holds Ctrl-C back until the block has ended, and what counts as Ctrl-C.

    Processes started within inherit the deferral of Ctrl-C.
    """
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in _interrupts():
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
def hangups_deferred() -> Iterator[None]:
    """Holds SIGHUP back until the block has ended; processes started within never heed it.

    For the resource tracker of `multiprocessing`, which removes what a killed coordinator leaves behind: started
    without this, it would end with the terminal, before it has done so.
    """
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    with _blocked(signal.SIGHUP):
        yield


@contextlib.contextmanager
def interrupted_once() -> Iterator[None]:
    """Lets the first of Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, and no other after it.

    What the block does on its way out is therefore done to its end, however impatient the person at the
    keyboard. A signal that this process was started to ignore (by `nohup`, or in the background) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_ending = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_ending
        if not is_ending:
            is_ending = True
            raise KeyboardInterrupt

    former = {number: signal.getsignal(number) for number in _interrupts()}
    for number, handler in former.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _interrupts() -> list[signal.Signals]:
    """Returns the signals that ask a run to end; Windows has no SIGHUP."""
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
