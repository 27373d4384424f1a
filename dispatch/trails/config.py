"""Settings of the trails process: `FORNO_<NAME>`, beside those of `node.settings`."""

from __future__ import annotations

from pydantic import Field

from node.settings import NodeSettings


class TrailSettings(NodeSettings):
    """Questions about trails, and their compaction. The shards need the same archive URL and hours as this process."""

    listen: str = Field("127.0.0.1:7030", description="host:port of the gRPC server")
    archive_url: str = Field(
        "", description="fsspec URL of cold storage; trails go into its folder `trails`. Empty: none"
    )
    trail_ttl_h: int = Field(24, ge=1, description="wall hours that trails stay in MongoDB once they are archived")
    trail_error_m: float = Field(5.0, gt=0, le=1000, description="how far a fix may be from its simplified trail")
    trail_late_min: int = Field(
        135, ge=1, description="domain minutes after an hour's end at which it is archived; fixes are up to 120 late"
    )
