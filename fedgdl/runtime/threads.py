"""How many cores may be used, and how many threads the linear algebra takes.

One BLAS thread wherever bits matter: one and two threads differ in the last bits, and two workers
with two threads each on two cores fight for them.

Example:
    >>> usable_cores() >= 1
    True
"""

import contextlib
import functools
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from threadpoolctl import ThreadpoolController

__all__ = ["blas_environment", "one_blas_thread", "usable_cores"]

_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_CGROUP_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(cgroup_quota: Path = _CGROUP_QUOTA) -> int:
    """Returns how many cores this process may use: by affinity, and by the container's quota where there is one.

    Args:
        cgroup_quota: the file in which Linux states the quota, as `"max 100000"` or microseconds of CPU time and
            of real time, `"150000 100000"`; a part of a core counts as a core.
            Source: Linux kernel documentation, Control Group v2, "CPU Interface Files".
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # no such file, or not in that form
        quota, period = cgroup_quota.read_text().split()
        if quota != "max":
            cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


@contextlib.contextmanager
def blas_environment(threads: int) -> Iterator[None]:
    """Sets the environment that child processes started meanwhile read while they import NumPy.

    Puts the environment back afterwards. Has no effect on this process's own, loaded BLAS.
    """
    former = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limits the BLAS libraries loaded in this process to one thread, and restores their setting afterwards."""
    with _controller(with_scipy="scipy.linalg" in sys.modules).limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _controller(*, with_scipy: bool) -> ThreadpoolController:  # noqa: ARG001 (SciPy brings a BLAS of its own, late)
    """Returns what limits the libraries that are loaded now; to look for them takes half a millisecond."""
    return ThreadpoolController()
