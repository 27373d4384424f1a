"""The local stack with real servers."""

from __future__ import annotations

import asyncpg
import redis.asyncio
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient

from deploy.stack.servers.postgres import DATABASES
from deploy.stack.stack import LocalStack
from proto.topics import TOPICS


async def test_postgres_is_durable_and_has_the_databases(stack: LocalStack) -> None:
    """What Postgres acknowledges is on disk, it takes 200 connections, and the databases of the services exist."""
    connection = await asyncpg.connect(f"{stack.env['FORNO_POSTGRES_URL']}/core")
    try:
        settings = [
            await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "max_connections")
        ]
        names = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()
    assert settings == ["on", "on", "200"]
    assert set(DATABASES) <= names


async def test_kafka_has_the_topics_of_the_contracts(stack: LocalStack) -> None:
    """Every topic of `proto.topics` exists with its number of partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.env["FORNO_KAFKA_URL"])
    await admin.start()
    try:
        found = {item["topic"]: len(item["partitions"]) for item in await admin.describe_topics()}
    finally:
        await admin.close()
    assert {topic.name: topic.partitions for topic in TOPICS}.items() <= found.items()


async def test_redis_and_mongo_answer(stack: LocalStack) -> None:
    """Both take a write and give it back."""
    async with redis.asyncio.Redis.from_url(stack.env["FORNO_REDIS_URL"]) as client:
        await client.set("k", "v")
        assert await client.get("k") == b"v"
    with MongoClient[dict[str, object]](stack.env["FORNO_MONGO_URL"]) as mongo:
        mongo["test"]["things"].insert_one({"_id": 1, "name": "margherita"})
        assert mongo["test"]["things"].find_one({"_id": 1}) == {"_id": 1, "name": "margherita"}


async def test_every_server_reports_its_version(stack: LocalStack, fresh_database: str) -> None:
    """The table shows what each server says of itself."""
    assert set(stack.versions) == {"redis", "postgres", "kafka", "mongo"}
    assert all(version[0].isdigit() for version in stack.versions.values()), stack.versions
    connection = await asyncpg.connect(fresh_database)
    assert (await connection.fetchval("SHOW server_version")).startswith(stack.versions["postgres"])
    await connection.close()
