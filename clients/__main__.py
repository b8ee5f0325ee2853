"""Says what this package is; workers are started by an engine, not by hand."""

import sys

sys.stdout.write(
    "This is fedgdl's client program: it trains the simulated clients of a run.\n"
    "Its processes are started by the run itself; start one with: fedgdl run spam\n"
)
