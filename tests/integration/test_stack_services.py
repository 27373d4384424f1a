"""Services of the stack, and Apache Kafka in the place of the embedded broker."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.stack.errors import StackError
from deploy.stack.servers.kafka import ensure_topics, incarnation
from deploy.stack.stack import LocalStack
from proto.topics import RIDER_PINGS, TOPICS, Topic
from tests.integration.stack_services import COUNTER, OVEN

_ORDERS = Topic("test.orders", 1, 3_600_000, "bytes", "What this test sends.")
_PARTITION = TopicPartition(_ORDERS.name, 0)


async def test_services_start_when_what_they_need_is_healthy(own_folder: Path) -> None:
    """They are told where everything is, found by their health checks, and come back on the same address."""
    async with LocalStack(own_folder, services=(COUNTER, OVEN)) as stack:
        address = stack.addresses["counter"]
        async with httpx.AsyncClient(trust_env=False) as client:
            said = (await client.get(f"{address}/healthz")).text
            assert said == f"shard-7 {stack.env['FORNO_KAFKA_URL']} {stack.env['FORNO_STATE_DIR']}"
            await stack.kill("oven")
            await stack.until_healthy("oven")
            assert (await client.get(f"{address}/healthz")).status_code == 200
        assert {row.name: row.restarts for row in stack.manifest().parts}["oven"] == 1


async def test_a_topic_that_a_client_made_first_is_made_again(own_folder: Path) -> None:
    """The embedded broker makes any topic it is asked for, too small for cities: refused, or renewed at a start."""
    async with LocalStack(own_folder, kafka="embedded") as stack:
        bootstrap = stack.env["FORNO_KAFKA_URL"]
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([RIDER_PINGS.name])
            await admin.describe_topics([RIDER_PINGS.name])
            with pytest.raises(StackError, match=r"rider\.pings has 4 partitions of 32"):
                await ensure_topics(bootstrap)
            await ensure_topics(bootstrap, renew=True)
            (pings,) = await admin.describe_topics([RIDER_PINGS.name])
            assert len(pings["partitions"]) == RIDER_PINGS.partitions
        finally:
            await admin.close()


@pytest.mark.skipif(shutil.which("java") is None, reason="Apache Kafka needs Java, which is not here")
async def test_apache_kafka_keeps_what_it_acknowledged(own_folder: Path) -> None:
    """After SIGKILL every acknowledged message is there, under the same incarnation, and so are the topics."""
    async with LocalStack(own_folder, kafka="apache") as stack:
        bootstrap = stack.env["FORNO_KAFKA_URL"]
        log = await incarnation(bootstrap)
        await ensure_topics(bootstrap, [_ORDERS])
        sent = [b"order-%d" % number for number in range(500)]
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            acks = [await producer.send(_ORDERS.name, value, partition=0) for value in sent]
            for ack in acks:
                await ack
        await stack.kill("kafka")
        await stack.until_healthy("kafka")

        assert await incarnation(bootstrap) == log
        assert await _values(bootstrap, len(sent)) == sent
        assert stack.versions["kafka"].startswith("4.")


async def _values(bootstrap: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        assert {topic.name for topic in TOPICS} <= await consumer.topics()
        consumer.assign([_PARTITION])
        await consumer.seek_to_beginning(_PARTITION)
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()
