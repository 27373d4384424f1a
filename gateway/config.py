"""Settings of the two gateway processes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from node.settings import NodeSettings

#: Where `npm run build` leaves the pages.
WEB_DIST = Path(__file__).parent / "web" / "dist"


class HttpSettings(NodeSettings):
    """Settings of `gateway.main`."""

    listen: str = Field("127.0.0.1:8080", description="host:port for HTTP")
    orders_address: str = Field("127.0.0.1:7300", description="host:port of the orders gRPC")
    live_url: str = Field("ws://127.0.0.1:8081", description="ws(s)://host:port that browsers reach gateway.live at")
    web_dir: Path = Field(WEB_DIST, description="folder of the built pages")
    roads_geojson: Path | None = Field(None, description="road network for the basemap, GeoJSON; none: no basemap")
    limit_per_s: float = Field(50.0, gt=0, le=1e6, description="requests a second that one token (or address) may make")
    limit_burst: int = Field(200, ge=1, le=1_000_000, description="requests that may come at once")
    tracking_token_ttl_s: int = Field(6 * 3600, ge=60, description="life of an order's tracking token, wall seconds")


class LiveSettings(NodeSettings):
    """Settings of `gateway.live.main`."""

    listen: str = Field("127.0.0.1:8081", description="host:port for WebSockets")
    orders_address: str = Field("127.0.0.1:7300", description="host:port of the orders gRPC")
    live_max_sockets: int = Field(20_000, ge=1, description="sockets this process holds; more are refused with 503")
    live_max_sockets_per_token: int = Field(20, ge=1, description="sockets one token may hold open at once")
    live_poll_s: float = Field(1.5, gt=0, le=60, description="a watched order is asked about at least this often, s")
    live_polls_per_s: float = Field(250.0, gt=0, description="but never more polls a second than this in all")


def address(listen: str) -> tuple[str, int]:
    """Host and port of `host:port`."""
    host, _, port = listen.rpartition(":")
    return host or "127.0.0.1", int(port)
