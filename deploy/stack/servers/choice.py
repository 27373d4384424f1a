"""Choose the four servers of a stack by what is installed and by the environment."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.stack.folder import Folder
from deploy.stack.part import Part
from deploy.stack.ports import Ports
from deploy.stack.servers import kafka, mongo, postgres, redis
from deploy.stack.servers.kafka_apache import ApacheKafka
from deploy.stack.servers.kafka_embedded import EmbeddedKafka
from deploy.stack.servers.outside import Outside

#: The setting that points a server elsewhere, and that tells the services where it is.
URL_SETTINGS = {
    "redis": "FORNO_REDIS_URL",
    "postgres": "FORNO_POSTGRES_URL",
    "kafka": "FORNO_KAFKA_URL",
    "mongo": "FORNO_MONGO_URL",
}


def choose(folder: Folder, ports: Ports, broker: kafka.Broker, environ: Mapping[str, str]) -> tuple[Part, ...]:
    """The four servers: outside ones where `FORNO_*_URL` is set, else our own on free ports."""
    outside = {name: environ[setting].rstrip("/") for name, setting in URL_SETTINGS.items() if environ.get(setting)}

    def the_redis() -> Part:
        if "redis" in outside:
            return Outside("redis", outside["redis"], redis.version)
        return redis.Redis(redis.find(), ports.take(), folder.data("redis"))

    def the_postgres() -> Part:
        if "postgres" in outside:
            return Outside("postgres", outside["postgres"], postgres.version, postgres.create_databases)
        return postgres.Postgres(postgres.find(), ports.take(), folder.data("postgres"))

    def the_kafka() -> Part:
        if "kafka" in outside:
            return Outside("kafka", outside["kafka"], kafka.version, kafka.topics_ready)
        if broker == "apache":
            return ApacheKafka(ports.take(), ports.take(), folder.data("apache-kafka"), folder.log("kafka"))
        return EmbeddedKafka(ports.take(), folder.data("tansu"))

    def the_mongo() -> Part:
        if "mongo" in outside:
            return Outside("mongo", outside["mongo"], mongo.version)
        return mongo.Mongo(mongo.find(), ports.take(), folder.data("mongo"))

    return the_redis(), the_postgres(), the_kafka(), the_mongo()
