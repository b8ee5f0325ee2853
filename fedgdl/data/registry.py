"""The data sets that a configuration can name.

A new data set is one new file in `fedgdl/data/sources/` and one line here. A source's module is
imported only when it is asked for.

Example:
    >>> find_source("synthetic-mail").is_synthetic
    True
"""

import importlib
from typing import Final

from fedgdl.config import nearest
from fedgdl.data.locate import SourceReport, describe
from fedgdl.data.source import Source
from fedgdl.errors import ConfigError

__all__ = ["SOURCES", "find_source", "list_sources"]

SOURCES: Final = {
    "babi": "fedgdl.data.sources.babi",
    "enron": "fedgdl.data.sources.enron",
    "enron-book": "fedgdl.data.sources.enron_book",
    "imdb": "fedgdl.data.sources.imdb",
    "mnist": "fedgdl.data.sources.mnist",
    "shakespear-book": "fedgdl.data.sources.shakespear_book",
    "shakespeare": "fedgdl.data.sources.shakespeare",
    "sms": "fedgdl.data.sources.sms",
    "synthetic-digits": "fedgdl.data.sources.synthetic_digits",
    "synthetic-mail": "fedgdl.data.sources.synthetic_mail",
    "synthetic-reviews": "fedgdl.data.sources.synthetic_reviews",
    "synthetic-stories": "fedgdl.data.sources.synthetic_stories",
    "synthetic-verse": "fedgdl.data.sources.synthetic_verse",
}


def find_source(name: str) -> Source:
    """Returns the source of a name.

    Raises:
        ConfigError: there is none; the message gives the nearest spelling.
    """
    if name not in SOURCES:
        message = f"there is no data set {name!r}{nearest(name, SOURCES)} (known: {', '.join(sorted(SOURCES))})"
        raise ConfigError(message)
    source: Source = importlib.import_module(SOURCES[name]).SOURCE
    return source


def list_sources() -> list[SourceReport]:
    """Returns what every source is and where it is on this machine, in the order of their names."""
    return [describe(find_source(name)) for name in sorted(SOURCES)]
