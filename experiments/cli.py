"""The `fedgdl` program's first lines: kept small, since every worker process imports them with it.

The commands themselves are in `experiments.commands`; they load what they need when they are called.
"""

import multiprocessing
import sys
from pathlib import Path
from typing import Final

__all__ = ["INTERRUPTED", "main"]

INTERRUPTED: Final = 130
"""The exit code of a program that was ended by Ctrl-C, as shells count it: 128 + SIGINT."""


def main() -> None:
    """Runs the command line and ends the process: 0 done, 1 a run failed, 2 bad usage or configuration."""
    if multiprocessing.get_start_method(allow_none=True) is None:
        multiprocessing.set_start_method("spawn")
    # Last, so that no folder here shadows a package: where `task = "module:Name"` of one's own is found.
    sys.path.append(str(Path.cwd()))
    try:
        from experiments.commands.app import app

        app(prog_name="fedgdl")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        from fedgdl.errors import ConfigError, FedgdlError

        if not isinstance(error, FedgdlError):
            raise  # a defect: its traceback is wanted
        sys.stderr.write("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]) + "\n")
        sys.exit(2 if isinstance(error, ConfigError) else 1)


if __name__ == "__main__":
    main()
