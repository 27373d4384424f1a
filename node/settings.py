"""Settings every process shares. Each comes from the environment as `FORNO_<NAME>`; a service adds its own fields.

A wrong value stops the process at start with the variable named, never later.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from node.clock import SystemClock

S = TypeVar("S", bound="NodeSettings")


class NodeSettings(BaseSettings):
    """Settings of every process: addresses of servers, how time runs, who is trusted."""

    model_config = SettingsConfigDict(env_prefix="FORNO_", frozen=True, extra="ignore")

    postgres_url: str = Field("postgresql://forno@127.0.0.1:5432", description="Postgres without a database name")
    core_database: str = Field("core", description="the database of the map, the leases and the ticks")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis")
    kafka_url: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port")
    mongo_url: str = Field("mongodb://127.0.0.1:27017", description="MongoDB")
    router_address: str = Field("127.0.0.1:7000", description="host:port of the shard router's gRPC")

    clock_speed: float = Field(1.0, gt=0, le=1000, description="domain seconds a wall second")
    clock_anchor_wall_ms: int = Field(0, ge=0, description="wall time at which the domain clock showed the next value")
    clock_anchor_domain_ms: int = Field(0, ge=0, description="domain time at that moment")

    jwt_jwks_file: Path | None = Field(None, description="public keys that tokens are checked against (JWKS)")
    jwt_private_key_file: Path | None = Field(None, description="key that signs tokens (PEM, Ed25519)")

    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least level that is logged")
    metrics_address: str = Field("", description="host:port of the Prometheus endpoint; empty: none")

    def clock(self) -> SystemClock:
        """The clock that these settings describe."""
        return SystemClock(self.clock_speed, self.clock_anchor_wall_ms, self.clock_anchor_domain_ms)

    @property
    def core_url(self) -> str:
        """URL of the database of the map, the leases and the ticks."""
        return self.database(self.core_database)

    def database(self, name: str) -> str:
        """URL of one database of the Postgres server."""
        return database_of(self.postgres_url, name)


def database_of(server_url: str, name: str) -> str:
    """URL of one database of a Postgres server; what follows a `?` stays at the end."""
    base, _, query = server_url.partition("?")
    return f"{base.rstrip('/')}/{name}" + (f"?{query}" if query else "")


def load(kind: type[S]) -> S:
    """Reads settings of a kind from the environment, or ends the process naming each variable at fault."""
    try:
        return kind()
    except ValidationError as error:
        for item in error.errors():
            name = "FORNO_" + "_".join(str(part) for part in item["loc"]).upper()
            print(f"{name}: {item['msg']} (got {item.get('input')!r})", file=sys.stderr)
        raise SystemExit(2) from None
    except SettingsError as error:  # JSON that is none; its message names the field
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
