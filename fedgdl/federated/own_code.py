"""Calls of a user's own code: what it raises is told in a line, beside the part of the traceback that is theirs.

Mistakes that this library found itself (`FedgdlError`) have their words already and pass as they are.

Not here: what runs in the training of a client, where errors cost that client its update.

Example:
    >>> try:
    ...     call_own("Herbs.load_data", {}.__getitem__, "mint")
    ... except TaskError as error:
    ...     str(error)
    "Herbs.load_data raised KeyError: 'mint'"
"""

import importlib
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from fedgdl.errors import ConfigError, FedgdlError, TaskError

__all__ = ["call_own", "import_own"]

ReturnT = TypeVar("ReturnT")
ErrorT = TypeVar("ErrorT", bound=FedgdlError)


def call_own(what: str, function: Callable[..., ReturnT], *arguments: Any) -> ReturnT:  # noqa: ANN401
    """Returns what a function gives for some arguments.

    Args:
        what: the function, as its user knows it: `"HerbsTask.load_data"`.
        function: the user's.
        arguments: what it is given.

    Raises:
        TaskError: it raised; the error's note is the traceback from the user's first frame on.
        FedgdlError: it raised that.
    """
    try:
        return function(*arguments)
    except FedgdlError:
        raise
    except Exception as error:
        raise _told(TaskError, what, error) from error


def import_own(module: str, what: str) -> ModuleType:
    """Returns a module, imported.

    Args:
        module: its dotted name.
        what: what it is imported for, as a configuration has it: `'task = "herbs:HerbsTask"'`.

    Raises:
        ConfigError: there is no such module, it is no Python, or it raises; the error's note is then the traceback
            from the user's first frame on.
        FedgdlError: it raised that.
    """
    try:
        return importlib.import_module(module)
    except FedgdlError:
        raise
    except SyntaxError as error:
        place = f"{error.filename}, line {error.lineno}: " if error.lineno else ""
        message = f"{what}: {place}{error.msg}"
        raise ConfigError(message) from error
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            message = f"{what}: {error}; is the module in the folder where the run is started, or on PYTHONPATH?"
            raise ConfigError(message) from error
        raise _told(ConfigError, f"{what}: importing {module}", error) from error


def _told(kind: type[ErrorT], what: str, error: Exception) -> ErrorT:
    """Returns an error of a kind that says in one line what raised, and in a note where."""
    first_line = str(error).strip().partition("\n")[0]
    told = kind(f"{what} raised {type(error).__name__}{': ' if first_line else ''}{first_line}")
    trace = traceback.TracebackException.from_exception(error)
    del trace.stack[0]  # the call here
    while trace.stack and _is_machinery(trace.stack[0].filename):
        del trace.stack[0]
    told.add_note("".join(trace.format()).rstrip())
    return told


def _is_machinery(file: str) -> bool:
    return file.startswith("<frozen importlib") or file == importlib.__file__
