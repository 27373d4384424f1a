"""Errors of the local stack."""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """The local stack cannot do what was asked."""


class FolderInUse(StackError):
    """Another living stack owns this folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(f"{folder} is in use by a running stack ({holder}); stop it or choose another --dir")
        self.folder = folder
        self.pid = pid


class ServerMissing(StackError):
    """No program of this kind is installed, and no wheel of it either."""


class PartFailed(StackError):
    """A server or a service did not start, or died where that ends the stack."""

    def __init__(self, name: str, reason: str, log: Path | None, log_tail: str) -> None:
        where = f"\nlast lines of {log}:\n{log_tail}" if log is not None else ""
        super().__init__(f"{name} {reason}{where}")
        self.name = name
        self.reason = reason
        self.log = log
        self.log_tail = log_tail
