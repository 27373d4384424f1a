"""Parts common to all brokers that speak Kafka's protocol: health check, incarnation, topics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from deploy.stack.errors import StackError
from deploy.stack.part import NotReady
from proto.topics import TOPICS, Topic

Broker = Literal["apache", "embedded"]

_REQUEST_TIMEOUT_MS = 4_000
_TOPIC_ALREADY_EXISTS = 36


def broker_from(environ: Mapping[str, str]) -> Broker:
    """The broker that `FORNO_KAFKA` names; the embedded one when it names none."""
    match environ.get("FORNO_KAFKA") or "embedded":
        case "apache":
            return "apache"
        case "embedded":
            return "embedded"
        case other:
            raise StackError(f"FORNO_KAFKA must be apache or embedded, not {other!r}")


async def incarnation(bootstrap: str) -> str:
    """The log's incarnation: the cluster id that the broker reports; raises NotReady.

    Apache Kafka keeps its cluster id with its data. The embedded broker keeps no data, so it is given a new cluster id
    at every start. Either way: same id, same log; another id, another log, in which old offsets mean nothing.
    """
    host, _, port = bootstrap.rpartition(":")
    try:
        # Looked at first because the client library logs an error for every refused connection.
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError as error:
        raise NotReady(str(error)) from error
    writer.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except (KafkaError, OSError) as error:
        raise NotReady(repr(error)) from error
    finally:
        await admin.close()
    if not cluster["brokers"]:
        raise NotReady("the broker has not joined its cluster yet")
    return str(cluster["cluster_id"])


async def ensure_topics(
    bootstrap: str, topics: Sequence[Topic] = TOPICS, *, replication: int = 1, renew: bool = False
) -> None:
    """Create those of `topics` that are missing. Existing ones are left as they are, if they have partitions enough.

    A broker that creates a topic when a client asks for it gives it as many partitions as it thinks fit; a city whose
    partition is not among them would wait for ever. With `renew` such a topic is deleted, with what is in it, and
    created again; else StackError names it.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    await admin.start()
    try:
        held = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics()}
        short = [t for t in topics if held.get(t.name, t.partitions) < t.partitions]
        if short and not renew:
            told = ", ".join(f"{t.name} has {held[t.name]} partitions of {t.partitions}" for t in short)
            raise StackError(f"topics are too small: {told}; give them more partitions, or delete them")
        missing = [
            NewTopic(topic.name, topic.partitions, replication, topic_configs={"retention.ms": str(topic.retention_ms)})
            for topic in topics
            if topic.name not in held or topic in short
        ]
        if short:
            await admin.delete_topics([topic.name for topic in short])
        if missing:
            response = await admin.create_topics(missing)
            for name, code, message in response.topic_errors:
                if code not in (0, _TOPIC_ALREADY_EXISTS):
                    raise StackError(f"topic {name} could not be created: {message} (error {code})")
    finally:
        await admin.close()


async def topics_ready(bootstrap: str, *, renew: bool = False) -> None:
    """`ensure_topics` just after a start, when the broker may still refuse; raises NotReady."""
    try:
        await ensure_topics(bootstrap, renew=renew)
    except (KafkaError, OSError) as error:
        raise NotReady(repr(error)) from error


async def version(bootstrap: str) -> str:
    """All that the protocol tells about an outside broker; raises NotReady."""
    return f"cluster {await incarnation(bootstrap)}"
