"""Settings of payments."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from node.settings import NodeSettings


class PaymentsSettings(NodeSettings):
    """Where it listens and who moves the money."""

    listen: str = Field("127.0.0.1:7011", description="host:port of the gRPC server")
    payments_database: str = Field("payments", description="name of the database")
    payment_provider: Literal["local", "stripe"] = Field("local", description="who moves the money")
    payments_seed: int = Field(7, description="seed of the local provider's delays")
    stripe_api_key: SecretStr = Field(SecretStr(""), description="secret key of the Stripe account (sk_...)")
    stripe_api_url: str = Field(
        "https://api.stripe.com", pattern="^https?://", description="where Stripe's API is; another one for tests"
    )
    stripe_webhook_secret: SecretStr = Field(
        SecretStr(""), description="secret that webhooks are signed with (whsec_...)"
    )
    stripe_webhook_listen: str = Field(
        "", description="host:port for Stripe's webhooks (POST /v1/webhooks/stripe); empty: none are heard"
    )

    def missing(self) -> list[str]:
        """The settings without which the chosen provider cannot work."""
        if self.payment_provider == "local":
            return []
        needed = {"FORNO_STRIPE_API_KEY": self.stripe_api_key}
        if self.stripe_webhook_listen:
            needed["FORNO_STRIPE_WEBHOOK_SECRET"] = self.stripe_webhook_secret
        return [name for name, secret in needed.items() if not secret.get_secret_value()]
