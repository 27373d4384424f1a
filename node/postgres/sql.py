"""Named SQL: the statements of a module lie beside it, in one file of the same name.

    -- name: get
    select * from orders where order_id = $1

`SQL = statements(__file__)` in `reads.py` loads `reads.sql`; `SQL.get` is the text. A test prepares every statement of
every file on a real server with the migrated schemas (`tests/integration/test_statements.py`), so a wrong name of a
column or a wrong type fails there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


class Statements:
    """The statements of one file, by name: as attributes, and as items where the name comes at run time.

    No mapping: a statement may be called `get`.
    """

    def __init__(self, file: Path) -> None:
        head, *parts = re.split(r"^-- name: (\S+)$", file.read_text(), flags=re.MULTILINE)
        if any(line and not line.startswith("--") for line in head.splitlines()):
            raise ValueError(f"{file}: a statement without a name")
        names = parts[::2]
        if len(set(names)) != len(names):
            raise ValueError(f"{file}: a name twice")
        self._file = file
        self._texts: dict[str, str] = dict(zip(names, (text.strip() for text in parts[1::2]), strict=True))

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"{self._file} has no statement {name!r}") from None

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


def statements(module: str) -> Statements:
    """The statements of the module of this file (`__file__`)."""
    return Statements(Path(module).with_suffix(".sql"))
