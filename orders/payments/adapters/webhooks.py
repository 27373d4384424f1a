"""Receive Stripe's webhooks: `POST /v1/webhooks/stripe`.

A webhook is believed only as far as its signature goes, and then only as a hint: the payment it names is looked at with
Stripe at once rather than later. So an event that is lost, late, repeated or out of order changes nothing but the
waiting. The signature is over a timestamp, which may be five minutes old at most; an event's id counts once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import stripe
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from node.errors import FornoError, Retryable
from orders.ids import checked_order_id
from orders.model import OrderId
from orders.payments.metrics import WEBHOOKS
from orders.payments.ports import WebhookInbox

PATH = "/v1/webhooks/stripe"

#: A timestamp older than this is somebody else's recording (seconds; Stripe's own default).
TOLERANCE_S = 300
MAX_BYTES = 1 << 18
#: How long requests under way may take to end at a stop, wall seconds.
DRAIN_S = 3


@dataclass(frozen=True, slots=True)
class _Event:
    event_id: str
    kind: str
    order_id: OrderId


class StripeWebhooks:
    """The endpoint. `wake` is called when a payment is to be looked at."""

    def __init__(
        self, inbox: WebhookInbox, secret: str, wake: Callable[[], None], log: structlog.stdlib.BoundLogger
    ) -> None:
        self._inbox = inbox
        self._secret = secret
        self._wake = wake
        self._log = log

    def app(self) -> Starlette:
        """The HTTP application."""
        return Starlette(routes=[Route(PATH, self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return self._said("too_large", 413)
        try:
            stripe.WebhookSignature.verify_header(
                body.decode(), request.headers.get("stripe-signature", ""), self._secret, TOLERANCE_S
            )
            event = _event(body)
        except (stripe.SignatureVerificationError, ValueError, LookupError) as error:
            self._log.warning("webhook refused", error=type(error).__name__)
            return self._said("refused", 400)
        return await self._note(event) if event is not None else self._said("ignored", 200)

    async def _note(self, event: _Event) -> Response:
        try:
            fresh = await self._inbox.note_webhook(event.event_id, event.kind, event.order_id)
        except Retryable as error:
            self._log.warning("webhook put off", error=str(error))
            return self._said("put_off", 503)
        self._wake()
        return self._said("heard" if fresh else "repeated", 200)

    def _said(self, outcome: str, status: int) -> Response:
        WEBHOOKS.labels(outcome).inc()
        return PlainTextResponse(outcome, status)


def _event(body: bytes) -> _Event | None:
    """The event in a body whose signature is right; None when it is not about one of our payments."""
    told = orjson.loads(body)
    kind, about = str(told["type"]), told["data"]["object"]
    if not kind.startswith("payment_intent."):
        return None
    try:
        return _Event(str(told["id"]), kind, checked_order_id((about.get("metadata") or {}).get("order_id", "")))
    except FornoError:  # of another shop on the same account
        return None
