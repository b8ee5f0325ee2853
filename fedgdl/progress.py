"""Tells whoever watches how far long work has come; without a watcher it costs nothing.

Not here: how that is shown (`experiments.progress`).

Example:
    >>> with watched_by(lambda what, done, total: print(what, done, "of", total)):
    ...     list(watched(["a", "b"], "reading"))
    reading 0 of 2
    reading 1 of 2
    reading 2 of 2
    ['a', 'b']
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

__all__ = ["Watcher", "report", "watched", "watched_by"]

Watcher = Callable[[str, int, int], None]
"""Called with (what is being done, steps finished, steps in all)."""

_watcher: Final[ContextVar[Watcher | None]] = ContextVar("watcher", default=None)

T = TypeVar("T")


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Lets the watcher hear of all work within this context."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def report(what: str, done: int, total: int) -> None:
    """Tells the watcher, if there is one, how far work has come that another process does, say.

    Args:
        what: is being done; the same words from its beginning to its end.
        done: steps finished.
        total: steps in all; when `done` has reached it, the work is over.
    """
    watcher = _watcher.get()
    if watcher is not None:
        watcher(what, done, total)


def watched(items: Sequence[T], what: str) -> Iterator[T]:
    """Yields the items, and tells the watcher how many of them are done."""
    watcher = _watcher.get()
    if watcher is None:
        yield from items
        return
    for done, item in enumerate(items):
        watcher(what, done, len(items))
        yield item
    watcher(what, len(items), len(items))
