"""Settings of payments."""

from __future__ import annotations

from pydantic import Field

from node.settings import NodeSettings


class PaymentsSettings(NodeSettings):
    """Where it listens and who moves the money."""

    listen: str = Field("127.0.0.1:7011", description="host:port of the gRPC server")
    payments_database: str = Field("payments", description="name of the database")
    payments_seed: int = Field(7, description="seed of the local provider's delays")
