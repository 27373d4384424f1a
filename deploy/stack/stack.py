"""The local stack: real servers and the Forno services, each a process, started in the order of their needs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from signal import SIGKILL, Signals
from types import TracebackType
from typing import Self

from deploy.stack.errors import StackError
from deploy.stack.folder import Folder
from deploy.stack.keys import ensure_keys
from deploy.stack.manifest import Manifest, Row
from deploy.stack.orphans import end_orphans
from deploy.stack.part import Part
from deploy.stack.ports import Ports
from deploy.stack.process import Guard
from deploy.stack.servers.choice import URL_SETTINGS, choose
from deploy.stack.servers.kafka import Broker
from deploy.stack.service import Service, ServicePart
from deploy.stack.supervisor import PartSupervisor

#: One deadline for the whole stop. Who is not gone by then is killed.
_STOP_WITHIN_S = 10.0
#: What of it is kept for each layer of parts that is still to be stopped.
_RESERVE_S = 2.0


class LocalStack:
    """`async with LocalStack(folder) as stack:` everything is healthy inside, everything is gone after.

    Raises StackError (FolderInUse, ServerMissing, PartFailed) when it cannot start. With `fail_fast` the first death
    of a part cancels the body of the `async with`, which then raises PartFailed; otherwise what dies is restarted.
    Deaths asked for by `kill` and `restart` are always restarted.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka: Broker = "embedded",
        fail_fast: bool = False,
        services: Sequence[Service] = (),
        settings: Mapping[str, str] | None = None,
        on_change: Callable[[Manifest], None] | None = None,
    ) -> None:
        self._folder = Folder(folder)
        self._broker = kafka
        self._fail_fast = fail_fast
        self._services = tuple(services)
        self._settings = dict(settings or {})
        self._on_change = on_change
        self._supervisors: dict[str, PartSupervisor] = {}
        self._exit = AsyncExitStack()
        #: The settings every service is given, connections and `settings`; who joins the stack needs the same.
        self.env: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        await self._exit.enter_async_context(self._running())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._exit.__aexit__(kind, error, trace)

    @property
    def versions(self) -> dict[str, str]:
        """Version that each part reports."""
        return {name: supervisor.version for name, supervisor in self._supervisors.items()}

    @property
    def addresses(self) -> dict[str, str]:
        """Address of each part."""
        return {name: supervisor.part.address for name, supervisor in self._supervisors.items()}

    @property
    def metrics(self) -> dict[str, str]:
        """Prometheus address of each service, host:port."""
        parts = {name: supervisor.part for name, supervisor in self._supervisors.items()}
        return {name: part.metrics for name, part in parts.items() if isinstance(part, ServicePart)}

    def pid(self, name: str) -> int | None:
        """The process of a part; None while there is none."""
        return self._supervisors[name].pid

    async def kill(self, name: str, number: Signals = SIGKILL) -> None:
        """Send a signal to a part, for a drill. A deadly one is waited for; the part is then restarted."""
        await self._supervisors[name].kill(number)

    async def restart(self, name: str) -> None:
        """Stop a part in good order and wait until it is healthy again."""
        await self._supervisors[name].restart(_STOP_WITHIN_S)

    async def until_healthy(self, name: str) -> None:
        """Wait until a part serves, for instance after `kill`."""
        await self._supervisors[name].healthy.wait()

    def manifest(self) -> Manifest:
        """Manifest of the parts as they run now."""
        rows = [self._row(supervisor) for supervisor in self._supervisors.values()]
        return Manifest(os.getpid(), str(self._folder.root), self.env, tuple(rows))

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        lock_fd = self._folder.claim()
        end_orphans(self._folder)
        guard = Guard(lock_fd)
        try:
            with Ports() as ports:
                parts = self._parts(ports)
                self._supervisors = {part.name: self._supervisor(part, guard) for part in parts}
                try:
                    async with self._kept():
                        yield
                finally:
                    await self._stop()
        finally:
            guard.close()
            self._folder.manifest.unlink(missing_ok=True)
            self._folder.release()

    @asynccontextmanager
    async def _kept(self) -> AsyncIterator[None]:
        """Run the supervisors around the body. The first failure cancels the body and is raised."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        supervisor.run(tuple(self._supervisors[need] for need in supervisor.part.needs)), name=name
                    )
                    for name, supervisor in self._supervisors.items()
                ]
                for supervisor in self._supervisors.values():
                    await supervisor.healthy.wait()
                yield
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise _the_one_that_matters(errors) from None

    def _parts(self, ports: Ports) -> tuple[Part, ...]:
        """All parts, and `env` from where they will answer."""
        servers = choose(self._folder, ports, self._broker, os.environ)
        private_key, jwks = ensure_keys(self._folder.secrets)
        self.env |= {URL_SETTINGS[server.name]: server.address for server in servers}
        self.env |= {
            "FORNO_STATE_DIR": str(self._folder.state),
            "FORNO_ARCHIVE_URL": str(self._folder.state / "archive"),
            "FORNO_JWT_PRIVATE_KEY_FILE": str(private_key),
            "FORNO_JWT_JWKS_FILE": str(jwks),
            **self._settings,
        }
        services = tuple(ServicePart(service, ports.take(), ports.take()) for service in self._services)
        for service in services:
            self.env |= service.announced
        return (*servers, *services)

    def _supervisor(self, part: Part, guard: Guard) -> PartSupervisor:
        return PartSupervisor(part, self._folder, guard, self.env, fail_fast=self._fail_fast, on_change=self._changed)

    def _changed(self) -> None:
        manifest = self.manifest()
        manifest.write(self._folder.manifest)
        if self._on_change is not None:
            self._on_change(manifest)

    def _row(self, supervisor: PartSupervisor) -> Row:
        part = supervisor.part
        log = str(self._folder.log(part.name)) if supervisor.runs_here else ""
        return Row(
            part.name,
            part.kind,
            supervisor.state,
            supervisor.version,
            part.address,
            supervisor.pid,
            supervisor.restarts,
            supervisor.note,
            log,
        )

    async def _stop(self) -> None:
        """End the parts, those that need others before what they need, all within one deadline."""
        deadline_s = time.monotonic() + _STOP_WITHIN_S
        layers = list(_layers(self._supervisors.values()))
        while layers:
            layer = layers.pop()
            # A service that hangs must not use up the time of the servers below it.
            within_s = max(0.0, deadline_s - time.monotonic() - _RESERVE_S * len(layers))
            await asyncio.gather(*(self._supervisors[name].stop(within_s) for name in layer))


def _layers(supervisors: Iterable[PartSupervisor]) -> Iterable[tuple[str, ...]]:
    """Names of the parts in the order of their needs: each layer needs only layers before it."""
    sorter = TopologicalSorter({supervisor.part.name: supervisor.part.needs for supervisor in supervisors})
    sorter.prepare()
    while sorter.is_active():
        layer = sorter.get_ready()
        yield layer
        sorter.done(*layer)


def _the_one_that_matters(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """A task group wraps whatever left it; the caller wants the part's failure, or its own error as it raised it."""
    for error in errors.exceptions:
        if isinstance(error, StackError):
            return error
    return errors.exceptions[0] if len(errors.exceptions) == 1 else errors
