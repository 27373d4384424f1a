"""`forno db`: every database of the system, migrated by processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import pytest_asyncio

from deploy.database.plan import databases, migrate_all, state_of_all
from deploy.stack.stack import LocalStack
from orders.config import OrdersSettings
from orders.payments.config import PaymentsSettings
from tests.integration.orders_world import administer


@pytest_asyncio.fixture(loop_scope="session")
async def env(stack: LocalStack) -> AsyncIterator[Mapping[str, str]]:
    """Four empty databases, and the settings that name them."""
    suffix = uuid.uuid4().hex[:8]
    core, first, second, payments = (f"{name}_{suffix}" for name in ("core", "orders_0", "orders_1", "payments"))
    base = stack.env["FORNO_POSTGRES_URL"]
    await administer(base, [f"create database {name}" for name in (core, first, second, payments)])
    yield {
        "FORNO_POSTGRES_URL": base,
        "FORNO_CORE_DATABASE": core,
        "FORNO_ORDERS_RANGES": f"0-32767={first},32768-65535={second}",
        "FORNO_PAYMENTS_DATABASE": payments,
    }
    await administer(base, [f"drop database {name} with (force)" for name in (core, first, second, payments)])


async def forno_db(env: Mapping[str, str], verb: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of the verb, run as a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "node.cli", "db", verb, "--json",
        env={**os.environ, **env}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out)


async def test_two_at_once_apply_each_migration_once_and_nothing_is_left(env: Mapping[str, str]) -> None:
    """Two processes share the work; then status finds none pending, and what a newer release applied is named."""
    plan = databases(OrdersSettings(**settings(env)), PaymentsSettings(**settings(env)))
    pending = {(one.database, one.state.package): one.state.pending for one in await state_of_all(plan)}
    assert len(pending) == 12
    assert all(pending.values())
    assert {(one.database, one.state.package): one.state.pending for one in await state_of_all(plan)} == pending

    both = await asyncio.gather(forno_db(env, "migrate"), forno_db(env, "migrate"))
    assert [code for code, _ in both] == [0, 0]
    rows = [row for _, done in both for row in done["schemas"]]
    for place, names in pending.items():
        now = [row["applied_now"] for row in rows if (row["database"], row["package"]) == place]
        assert sorted(name for part in now for name in part) == names

    connection = await asyncpg.connect(f"{env['FORNO_POSTGRES_URL']}/{env['FORNO_PAYMENTS_DATABASE']}")
    await connection.execute(
        "insert into schema_migrations (package, number, name) values ('payments', 9999, '9999_x')"
    )
    await connection.close()
    again = await migrate_all(plan)
    assert not any(one.new or one.state.pending for one in again)
    assert [one.state.unknown for one in again if one.state.package == "payments"] == [["9999_x"]]


def settings(env: Mapping[str, str]) -> dict[str, Any]:
    """The variables as the fields they set."""
    return {name.removeprefix("FORNO_").lower(): value for name, value in env.items()}
