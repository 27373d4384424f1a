"""Settings of the shard router."""

from __future__ import annotations

from pydantic import Field

from node.settings import NodeSettings


class RouterSettings(NodeSettings):
    """Settings of the router: its address and the cities on the map."""

    listen: str = Field("127.0.0.1:7000", description="host:port of the gRPC server")
    cities: str = Field("la-serena,coquimbo", description="cities on the map, comma separated; 'all' for every one")
