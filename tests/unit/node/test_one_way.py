"""Each common job is done in one place: no package has a way of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("deploy", "dispatch", "gateway", "node", "orders", "shard_router", "simulator", "tracking")

#: What only one module may do, and which.
OWN = {
    # A server that is not up yet, looked at by the stack that starts it; a migration at fault, told by `forno db`.
    r"except .*asyncpg\.(PostgresError|InterfaceError)": {
        "node/postgres/errors.py",
        "deploy/stack/servers/postgres.py",
        "deploy/database/cli.py",
    },
    r"^import uvicorn": {"node/http_server.py"},
    # Pauses that grow. A rider's app, which must not need the server's parts; leases and reloads, whose pauses are
    # bound to a lease's life; a server that is started again; a payment put off, whose pause lies in its row.
    r"pause_s = min\(|\* 2(\.0)? \*\* ": {
        "deploy/stack/supervisor.py",
        "node/retry.py",
        "orders/payments/payment_worker.py",
        "shard_router/leases/slots.py",
        "tracking/client/rider.py",
    },
}


@pytest.mark.parametrize(("pattern", "allowed"), OWN.items(), ids=OWN)
def test_only_there(pattern: str, allowed: set[str]) -> None:
    """The pattern occurs in those files and nowhere else."""
    found = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if re.search(pattern, file.read_text(), re.MULTILINE)
    }
    assert found == allowed
