"""How a command finds the running system: from its flag, from the environment, or from the stack in this folder."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path


def setting(name: str, given: str | None = None) -> str:
    """The value of `FORNO_<NAME>` for a command: as given, from the environment, or of the stack in `./.forno`
    (another folder: `FORNO_STATE_DIR`). Ends the command with what to do when there is none.
    """
    variable = f"FORNO_{name.upper()}"
    if given or variable in os.environ:
        return given or os.environ[variable]
    file = Path(os.environ.get("FORNO_STATE_DIR", ".forno")) / "stack.json"
    try:
        value: str = json.loads(file.read_text())["env"][variable]
    except (OSError, KeyError, ValueError):
        raise SystemExit(f"no running stack in {file.parent}: start one with `forno up`, or set {variable}") from None
    return value


def actor() -> str:
    """Who runs this command: the user's name, or the uid where the system knows no name (`docker run --user 54321`)."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = ""
    return name if name and name.isprintable() else f"uid {os.getuid()}"
