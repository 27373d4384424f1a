"""Settings of the edge."""

from __future__ import annotations

from pydantic import Field

from node.settings import NodeSettings


class EdgeSettings(NodeSettings):
    """Settings of `python -m tracking.main`, from the environment."""

    listen: str = Field("127.0.0.1:7100", description="host:port of the riders' gRPC; several edges may share it")
    edge_id: str = Field(
        "edge-1", min_length=1, max_length=64, description="name of this process, written into the log"
    )
    edge_linger_ms: float = Field(
        10.0, gt=0, le=1000, description="how long fixes are collected before they are packed"
    )
