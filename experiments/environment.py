"""What a result was made with, and whether this installation is whole.

Example:
    >>> "numpy" in versions()
    True
"""

import contextlib
import importlib
import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["blas_libraries", "dependency_versions", "machine", "package_folders", "problems", "versions"]

_PACKAGES: Final = ("fedgdl", "clients", "server", "experiments")
_REQUIRED_NAME: Final = re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9]")


def versions() -> dict[str, str]:
    """Returns the versions that results may depend on, by name."""
    import numpy as np

    import fedgdl

    return {"fedgdl": fedgdl.__version__, "python": platform.python_version(), "numpy": np.__version__}


def machine() -> str:
    """Returns processor, usable cores and operating system, in words."""
    from fedgdl.runtime import usable_cores

    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
    return f"{processor} ({platform.machine()}), {usable_cores()} usable cores, {platform.system()}"


def dependency_versions() -> dict[str, str]:
    """Returns the installed version of each package that fedgdl requires, by name; empty for a missing one."""
    found = {}
    for requirement in importlib.metadata.requires("fedgdl") or ():
        match = _REQUIRED_NAME.match(requirement)
        if match and "extra ==" not in requirement:
            try:
                found[match[0]] = importlib.metadata.version(match[0])
            except importlib.metadata.PackageNotFoundError:
                found[match[0]] = ""
    return dict(sorted(found.items()))


def blas_libraries() -> list[dict[str, Any]]:
    """Returns the linear-algebra libraries loaded with NumPy: name, version, kernels and number of threads."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.dot(np.ones(2), np.ones(2))  # makes sure the library is loaded
    keys = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    return [{key: info.get(key) for key in keys} for info in threadpool_info() if info.get("user_api") == "blas"]


def package_folders() -> dict[str, str]:
    """Returns where each of the four packages was imported from."""
    folders = {}
    for name in _PACKAGES:
        file = importlib.import_module(name).__file__
        folders[name] = str(Path(file).parent) if file else "nowhere (a namespace package: another project's folder?)"
    return folders


def problems() -> list[str]:
    """Returns what is wrong with this installation, in words; nothing when it is whole.

    The package names `clients`, `server` and `experiments` are common ones, and pip lets another
    distribution overwrite them without a word; so their common folder is checked.
    """
    missing = [name for name, version in dependency_versions().items() if not version]
    found = [f"{name} is required but not installed; run pip install {name}" for name in missing]
    folders = package_folders()
    homes = {name: str(Path(folder).parent) for name, folder in folders.items()}
    if len(set(homes.values())) > 1:
        found.append(
            f"the four packages do not come from one place: {homes}; another distribution shadows some of them. "
            "Install fedgdl into a virtual environment of its own"
        )
    data = os.environ.get("FEDGDL_DATA")
    if data and not Path(data).is_dir():
        found.append(f"FEDGDL_DATA is {data}, which is no folder")
    if sys.prefix == sys.base_prefix:
        found.append("this Python is no virtual environment; `clients` and `server` are names that others use, too")
    return found
