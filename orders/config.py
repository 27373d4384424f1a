"""Settings of the order service."""

from __future__ import annotations

from pydantic import Field, field_validator

from node.settings import NodeSettings, database_of
from orders.ranges import RangeMap


class OrdersSettings(NodeSettings):
    """Where it listens and how orders are spread over databases."""

    listen: str = Field("127.0.0.1:7010", description="host:port of the gRPC server")
    orders_ranges: str = Field(
        "0-32767=orders_0,32768-65535=orders_1",
        description="which shard points live in which database: FIRST-LAST=DATABASE,...",
    )
    orders_pool: int = Field(12, ge=2, le=100, description="connections to each orders database")

    kitchens_asked: str = Field(
        "", description="cities, comma separated, whose kitchens are asked; those of other cities take what comes"
    )
    kitchen_patience_s: float = Field(
        300.0, gt=0, le=86_400, description="wall seconds a kitchen may take to answer; then the order is rejected"
    )

    orders_replica_url: str = Field(
        "", description="a replica of the Postgres server, for reads that may be a little old; empty: none"
    )
    orders_replica_max_age_s: float = Field(5.0, gt=0, le=600, description="a replica that is older is not read, s")
    orders_cache: int = Field(20_000, ge=0, le=10_000_000, description="orders kept in Redis for reading; 0: none")
    archive_url: str = Field(".forno/archive", description="the archive: a folder, or s3://…, gs://… (fsspec)")
    archive_after_months: int = Field(6, ge=1, le=120, description="months that ended so long ago are archived")
    archive_nightly: bool = Field(False, description="whether the order service archives old months each night")

    def replica(self, name: str) -> str:
        """URL of a database on the replica."""
        return database_of(self.orders_replica_url, name)

    @property
    def asked_cities(self) -> frozenset[str]:
        """Cities whose kitchens are asked."""
        return frozenset(filter(None, (city.strip() for city in self.kitchens_asked.split(","))))

    @field_validator("orders_ranges")
    @classmethod
    def _covers_all_points(cls, text: str) -> str:
        RangeMap.parse(text)
        return text
