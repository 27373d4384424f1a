"""Public endpoints: cities, public keys, the pages' settings, health."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.api import models
from gateway.api.endpoint import Call, Endpoint
from node.clock import SystemClock
from node.errors import Retryable
from shard_router.topology import CityEntry, CityMap

_E7 = 10_000_000


class CatalogApi:
    """Endpoints that want no token."""

    def __init__(
        self,
        map_now: Callable[[], CityMap],
        polygons: Mapping[str, dict[str, Any]],
        loaded: Callable[[], bool],
        live_url: str,
        clock: SystemClock,
        basemap: bool,
    ) -> None:
        self._map_now = map_now
        self._polygons = polygons
        self._loaded = loaded
        self._config = models.EdgeConfig(
            live_url=live_url.rstrip("/"),
            clock=models.ClockLine(
                speed=clock.speed, anchor_wall_ms=clock.anchor_wall_ms, anchor_domain_ms=clock.anchor_domain_ms
            ),
            basemap=basemap,
        )

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET", "/v1/cities", "The cities, their borders, and who owns them.", self.cities, models.Cities,
                token=False, cache="public, max-age=2", errors=(429, 503),
            ),
            Endpoint(
                "GET", "/v1/config", "What the pages need to know.", self.config, models.EdgeConfig,
                token=False, cache="no-cache", errors=(429,),
            ),
            Endpoint(
                "GET", "/healthz", "Answers 200 when this process can serve.", self.health, models.Health,
                token=False, errors=(503,),
            ),
        ]  # fmt: skip

    async def cities(self, call: Call) -> models.Cities:
        self._check_loaded()
        map_ = self._map_now()
        entries = sorted(map_.cities.values(), key=lambda entry: entry.city)
        return models.Cities(version=map_.version, cities=[self._city(entry) for entry in entries])

    async def config(self, call: Call) -> models.EdgeConfig:
        return self._config

    async def health(self, call: Call) -> models.Health:
        self._check_loaded()
        return models.Health(status="ready")

    def _check_loaded(self) -> None:
        """Raises `Retryable` until the borders that were published have been heard."""
        if not self._loaded():
            raise Retryable("the borders of the cities are not loaded yet", reason="NOT_READY")

    def _city(self, entry: CityEntry) -> models.City:
        return models.City(
            city=entry.city,
            name=entry.name,
            shard_id=entry.owner,
            epoch=entry.epoch,
            moving_to=entry.moving_to,
            time_zone=entry.time_zone,
            currency=entry.currency,
            center=models.LatLng(lat=entry.center_lat_e7 / _E7, lng=entry.center_lng_e7 / _E7),
            polygon=self._polygons.get(entry.city),
        )
