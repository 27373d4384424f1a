"""Which broker the long tests run on."""

from __future__ import annotations

import os
import shutil

from deploy.stack.servers.kafka import Broker, broker_from
from deploy.stack.servers.kafka_jars import cache_folder


def best_broker() -> tuple[Broker, str]:
    """Apache Kafka, where durability is promised, if it can run here; else the embedded one, and why."""
    if os.environ.get("FORNO_KAFKA"):
        return broker_from(os.environ), "FORNO_KAFKA says so"
    if shutil.which("java") is None:
        return "embedded", "there is no Java for Apache Kafka: durability of the log itself is not tested"
    if not cache_folder().is_dir() and shutil.which("mvn") is None:
        return "embedded", "there is no Maven to fetch Apache Kafka: durability of the log itself is not tested"
    return "apache", "durability is promised on Apache Kafka"
