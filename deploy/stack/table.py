"""Print the parts and their state: a table on a terminal, one line a change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from deploy.stack.manifest import Manifest, Row
from node.table import lines

_STYLES = {"running": "green", "starting": "yellow", "restarting": "red", "waiting": "dim", "stopped": "dim"}
_COLUMNS = ("name", "kind", "version", "state", "address", "pid", "log")
#: What a narrow terminal does without, first what is needed least.
_DISPENSABLE = ("log", "pid", "kind", "version")
#: Between two columns.
_GAP = 2


def shown_address(address: str) -> str:
    """The address as it may be shown, without password and query; `stack.json` has the whole one."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    netloc = parts.netloc if parts.password is None else parts.netloc.replace(f":{parts.password}@", "@")
    return urlunsplit(parts._replace(netloc=netloc, query=""))


def table(manifest: Manifest, width: int) -> Group:
    """One row a part; columns of lesser use are left out until it fits into so many characters."""
    folder = Path(manifest.folder)
    rows = [_cells(row, folder) for row in manifest.parts]
    columns = _fitting(rows, width)
    styled = [
        [Text(cells[column], _STYLES[row.state] if column == "state" else "") for column in columns]
        for row, cells in zip(manifest.parts, rows, strict=True)
    ]
    return Group(*lines(f"Forno in {folder}", columns, styled, width))


def _cells(row: Row, folder: Path) -> dict[str, str]:
    return {
        "name": row.name,
        "kind": row.kind,
        "version": row.version,
        "state": _state(row),
        "address": shown_address(row.address),
        "pid": "" if row.pid is None else str(row.pid),
        "log": str(Path(row.log).relative_to(folder)) if row.log else "",
    }


def _fitting(rows: Sequence[Mapping[str, str]], width: int) -> list[str]:
    """The columns to show; `--json` and `stack.json` have all of them."""
    widths = {name: max(len(name), *(len(row[name]) for row in rows), 0) for name in _COLUMNS}
    columns = list(_COLUMNS)
    for least in _DISPENSABLE:
        if sum(widths[name] + _GAP for name in columns) - _GAP <= width:
            break
        columns.remove(least)
    return columns


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
            self._live.update(table(manifest, self._console.width), refresh=True)
            return
        for row in manifest.parts:
            line = f"{row.name}: {_state(row)}" + (f", pid {row.pid}" if row.pid is not None else "")
            if self._shown.get(row.name) != line:
                self._shown[row.name] = line
                self._console.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False)

    def ready(self, manifest: Manifest) -> None:
        """Print the table of a healthy stack where it is not on the screen already."""
        if self._live is None:
            self._console.print(table(manifest, self._console.width))
        self._console.print("Everything is up. Ctrl-C stops it.", highlight=False)
