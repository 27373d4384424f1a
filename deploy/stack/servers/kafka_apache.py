"""Apache Kafka itself: one KRaft node, broker and controller in one JVM, from its Maven Central jars.

What it acknowledges survives the death of its process (the page cache holds it), not the loss of power.
"""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from deploy.stack.errors import PartFailed, ServerMissing
from deploy.stack.part import Command, Part
from deploy.stack.servers.kafka import incarnation, topics_ready
from deploy.stack.servers.kafka_jars import ensure_jars
from deploy.stack.servers.programs import major_version

_OLDEST_JAVA = 17
_REPORTED_VERSION = re.compile(r"AppInfoParser.*Kafka version: (\S+)")
#: C1 only: the second compiler's threads would take a core for the first minute of every start.
_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")

#: To the console: the stack sends the output of every part to its log file. Without log4j's own shutdown hook, which
#: would silence the broker's last words.
_LOG4J = """\
shutdownHook=disable
rootLogger.level=warn
rootLogger.appenderRefs=out
rootLogger.appenderRef.out.ref=out
logger.version.name=org.apache.kafka.common.utils.AppInfoParser
logger.version.level=info
logger.broker.name=kafka.server.BrokerServer
logger.broker.level=info
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
"""


class ApacheKafka(Part):
    """One Apache Kafka node on two loopback ports. Its cluster id is the incarnation of its log."""

    name = "kafka"
    kind = "apache-kafka"
    ready_within_s = 60.0

    def __init__(self, port: int, controller_port: int, data: Path, log: Path) -> None:
        super().__init__()
        java = shutil.which("java")
        if java is None or (major_version(Path(java)) or 0) < _OLDEST_JAVA:
            raise ServerMissing(f"Apache Kafka needs Java {_OLDEST_JAVA} or newer, or use FORNO_KAFKA=embedded")
        self._java = java
        self._controller_port = controller_port
        self._home = data
        self._log = log
        self._jars = Path()
        self.address = f"127.0.0.1:{port}"

    async def prepare(self) -> None:
        """Fetch the jars, write the settings and format the log's folder, unless earlier runs did."""
        self._jars = await ensure_jars(self._log, self.report)
        self._home.mkdir(parents=True, exist_ok=True)
        (self._home / "log4j2.properties").write_text(_LOG4J)
        logs = self._home / "logs"
        if not logs.exists():
            half_made = self._home / "logs.new"
            shutil.rmtree(half_made, ignore_errors=True)
            await self._format(self._write_settings("format.properties", half_made))
            half_made.rename(logs)
        self._write_settings("server.properties", logs)

    def command(self) -> Command:
        return Command((*self._program("kafka.Kafka"), str(self._home / "server.properties")), cwd=self._home)

    async def check(self) -> str:
        await incarnation(self.address)
        # The protocol has no field for a broker's version; the broker says it in its log when it starts.
        reported = _REPORTED_VERSION.findall(self._log.read_text(errors="replace"))
        return reported[-1] if reported else ""

    async def settle(self) -> None:
        await topics_ready(self.address)

    async def _format(self, settings: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        argv = (*self._program("kafka.tools.StorageTool"), "format", "-c", str(settings), f"--cluster-id={cluster_id}")
        done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PartFailed(self.name, f"could not format {self._home}: {done.stdout}{done.stderr}", None, "")

    def _program(self, main_class: str) -> tuple[str, ...]:
        log4j = f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}"
        return (self._java, *_JVM, log4j, "-cp", f"{self._jars}/*", main_class)

    def _write_settings(self, name: str, logs: Path) -> Path:
        controller = f"127.0.0.1:{self._controller_port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(logs),
            "auto.create.topics.enable": "false",
            "message.max.bytes": str(1 << 22),
            # After a kill the controller takes the broker back only when the dead one's session is over: with the
            # default of 9 s a restart takes 12 s, with 2 s it takes 4.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "250",
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
        }
        file = self._home / name
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return file
