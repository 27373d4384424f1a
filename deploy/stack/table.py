"""What runs where, for people: one table on a terminal, one line a change elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.stack.manifest import Manifest, Row

_STYLES = {"running": "green", "starting": "yellow", "restarting": "red", "waiting": "dim", "stopped": "dim"}


def without_password(address: str) -> str:
    """The address as it may be shown; `stack.json` has the whole one."""
    parts = urlsplit(address) if "://" in address else None
    if parts is None or parts.password is None:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")))


def table(manifest: Manifest) -> Table:
    """One row a part."""
    folder = Path(manifest.folder)
    result = Table(title=f"Forno in {folder}", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in ("name", "kind", "version", "state", "address", "pid", "log"):
        result.add_column(column, overflow="fold")
    for row in manifest.parts:
        log = str(Path(row.log).relative_to(folder)) if row.log else ""
        state = f"[{_STYLES[row.state]}]{_state(row)}"
        pid = str(row.pid) if row.pid is not None else ""
        result.add_row(row.name, row.kind, row.version, state, without_password(row.address), pid, log)
    return result


def _state(row: Row) -> str:
    if row.note:
        return row.note
    return f"{row.state} ({row.restarts} restarts)" if row.restarts else row.state


class Screen:
    """Shows a stack as it changes. On a terminal the table stays; elsewhere each change of a part is a line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._shown: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, manifest: Manifest) -> None:
        """Take a change."""
        if self._live is not None:
            self._live.update(table(manifest), refresh=True)
            return
        for row in manifest.parts:
            line = f"{row.name}: {_state(row)}" + (f", pid {row.pid}" if row.pid is not None else "")
            if self._shown.get(row.name) != line:
                self._shown[row.name] = line
                self._console.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False)

    def ready(self, manifest: Manifest) -> None:
        """Everything is healthy: print the table where it is not on the screen already."""
        if self._live is None:
            self._console.print(table(manifest))
        self._console.print("Everything is up. Ctrl-C stops it.", highlight=False)
