"""Migrations on a real database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from node.postgres import GUARDS, Schema, SchemaDiffers, connect, migrate, schema_state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations."""
    (tmp_path / "0001_first.sql").write_text("create table a (x integer)")
    (tmp_path / "0002_second.sql").write_text("insert into a values (1)")
    return tmp_path


async def test_migrations_run_once_whoever_comes(fresh_database: str, folder: Path) -> None:
    """Five processes at once, then a sixth: each file is applied exactly once."""
    applied = await asyncio.gather(*(migrate(fresh_database, "test", folder) for _ in range(5)))
    assert sorted(applied) == [[], [], [], [], ["0001_first", "0002_second"]]
    assert await migrate(fresh_database, "test", folder) == []
    pool = await connect(fresh_database)
    assert await pool.fetchval("select count(*) from a") == 1
    await pool.close()


async def test_a_migration_that_fails_leaves_nothing(fresh_database: str, folder: Path) -> None:
    """Its own statements are rolled back, those before it stay, and it is tried again."""
    broken = folder / "0003_third.sql"
    broken.write_text("insert into a values (2); select no_such_column from a")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(fresh_database, "test", folder)
    pool = await connect(fresh_database)
    assert await pool.fetchval("select count(*) from a") == 1
    broken.write_text("insert into a values (2)")
    assert await migrate(fresh_database, "test", folder) == ["0003_third"]
    await pool.close()


async def test_a_database_of_another_history_is_refused(fresh_database: str, folder: Path) -> None:
    """One that has another migration under a number, neither migrated further nor called up to date."""
    await migrate(fresh_database, "test", folder)
    (folder / "0002_second.sql").rename(folder / "0002_other.sql")
    (folder / "0003_third.sql").write_text("create table b (x integer)")
    refusal = r"has migration 0002_second of test where this release has 0002_other:"
    with pytest.raises(SchemaDiffers, match=refusal):
        await migrate(fresh_database, "test", folder)
    with pytest.raises(SchemaDiffers, match=refusal):
        await schema_state(fresh_database, Schema("test", folder))
    pool = await connect(fresh_database)
    assert await pool.fetchval("select to_regclass('b')") is None
    await pool.close()


async def test_a_frozen_transaction_is_ended(fresh_database: str, folder: Path) -> None:
    """Under the guards a transaction that idles for a second gives its locks up."""
    await migrate(fresh_database, "test", folder)
    frozen = await asyncpg.connect(fresh_database, server_settings=GUARDS)
    other = await asyncpg.connect(fresh_database)
    await frozen.execute("begin")
    await frozen.execute("select x from a for update")
    assert await other.fetchval("select x from a for update") == 1  # waits until the frozen one was ended
    here = "select count(*) from pg_stat_activity where pid = $1"
    assert await other.fetchval(here, frozen.get_server_pid()) == 0
    frozen.terminate()
    await other.close()
