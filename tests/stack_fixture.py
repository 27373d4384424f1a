"""The local stack for tests: one set of real servers for the whole session, and ways to be alone on them.

A server that cannot start fails the tests that need it; nothing is skipped.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from deploy.stack.servers.kafka import broker_from
from deploy.stack.stack import LocalStack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """Redis, Postgres, Kafka and MongoDB. Shared by all tests: kill nothing here, start a LocalStack of your own."""
    folder = tmp_path_factory.mktemp("stack")
    ready = asyncio.Event()
    stacks: list[LocalStack] = []
    over = asyncio.Event()

    async def run() -> None:
        # A task of its own: the two halves of a fixture run in different tasks, a task group lives in one.
        async with LocalStack(folder, kafka=broker_from(os.environ), fail_fast=True) as running:
            stacks.append(running)
            ready.set()
            await over.wait()

    task = asyncio.create_task(run(), name="stack")
    task.add_done_callback(lambda _: ready.set())
    await ready.wait()
    if not stacks:
        await task
    yield stacks[0]
    over.set()
    await task


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_database(stack: LocalStack) -> AsyncIterator[str]:
    """The URL of an empty Postgres database that is dropped after the test."""
    base = stack.env["FORNO_POSTGRES_URL"]
    name = f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(f"{base}/postgres")
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield f"{base}/{name}"
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics, keys and collections that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}."


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A folder for a stack of the test's own."""
    return tmp_path / ".forno"
