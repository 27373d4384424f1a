"""Each common job is done in one place: no package has a way of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("deploy", "dispatch", "gateway", "node", "orders", "shard_router", "simulator", "tracking")

#: What only one module may do, and which.
OWN = {
    # A server that is not up yet, looked at by the stack that starts it; a migration at fault, told by `forno db`;
    # SQLSTATE FR003, which only the router's own functions raise.
    r"except .*asyncpg\.(PostgresError|InterfaceError)": {
        "node/postgres/errors.py",
        "deploy/stack/servers/postgres.py",
        "deploy/database/cli.py",
        "shard_router/adapters/postgres.py",
    },
}


@pytest.mark.parametrize(("pattern", "allowed"), OWN.items(), ids=OWN)
def test_only_there(pattern: str, allowed: set[str]) -> None:
    """The pattern occurs in those files and nowhere else."""
    found = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if re.search(pattern, file.read_text())
    }
    assert found == allowed
