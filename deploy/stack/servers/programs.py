"""Finding server programs: what is installed first, what came as a wheel second."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile(r"(\d+)(?:\.\d+)*")


@dataclass(frozen=True, slots=True)
class Program:
    """An executable and what the table calls it."""

    kind: str
    path: Path


def installed(name: str) -> Path | None:
    """The program `name` of the PATH, symbolic links resolved."""
    found = shutil.which(name)
    return Path(found).resolve() if found is not None else None


def in_wheel(package: str, *parts: str) -> Path | None:
    """A file inside an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0], *parts)
    return path if path.is_file() else None


def executable(path: Path, folder: Path) -> Path:
    """`path`, or a copy in `folder` that may be run: not every installer keeps the executable bit of a wheel."""
    if os.access(path, os.X_OK):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / path.name
    shutil.copyfile(path, copy)
    copy.chmod(0o755)
    return copy


def major_version(path: Path) -> int | None:
    """The first number in the output of `PROGRAM --version`; None when it cannot be run."""
    try:
        output = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(output)
    return int(match[1]) if match is not None else None
