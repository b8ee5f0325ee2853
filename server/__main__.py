"""Says what this package is; the coordinator is started by a run, not by hand."""

import sys

sys.stdout.write(
    "This is fedgdl's coordinator: it runs the rounds of a federation and averages models.\n"
    "It is started by a run; start one with: fedgdl run spam\n"
)
