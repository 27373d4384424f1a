"""Stripe behind the payments port, by its own library: payment intents that are captured by hand, and refunds.

Every call that changes something carries an idempotency key, so a call whose answer was lost is made again and gets the
first answer. Stripe forgets keys after a day; a call that comes later finds the traces of the earlier one by the state
of the intent, or by the key, which is written into the metadata of whatever is made.

    token "pm_..."   a payment method made by Stripe's own form in the customer's browser
    token "tok_..."  a card token made there

No card number comes near: Stripe's form sends it to Stripe.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import stripe

from node.clock import Clock
from node.errors import Rejected, Retryable
from orders.ids import created_ms
from orders.model import ActionRequired, OrderId
from orders.payments.model import Answer, Money
from orders.payments.ports import Notice

if TYPE_CHECKING:
    from stripe import PaymentIntent, Refund

T = TypeVar("T")

#: A call takes no longer, so that the worker hears of it before its own timeout.
TIMEOUT_S = 4.0
#: Keys older than this may be forgotten; Stripe promises a day.
KEYS_LIVE_MS = 20 * 3_600_000

#: Stripe wants these without decimals of ISO 4217 as if they had two ("special cases" in its currency reference).
_TWO_DECIMALS = frozenset({"ISK", "UGX"})
#: ... and takes these in steps of ten.
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def stripe_minor(amount: Money) -> int:
    """The amount as Stripe counts it. Raises `Rejected` where Stripe cannot take it."""
    if amount.currency in _TWO_DECIMALS:
        return 100 * amount.minor
    if amount.currency == "MGA" or (amount.currency in _THREE_DECIMALS and amount.minor % 10):
        raise Rejected(f"Stripe cannot take {amount.minor} minor units of {amount.currency}", reason="AMOUNT")
    return amount.minor


class StripeProvider:
    """The provider. Safe to use from many tasks; `close` when done."""

    def __init__(self, api_key: str, url: str, clock: Clock) -> None:
        # The library logs bodies, and with them what opens a payment, at its lower levels.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        stripe.enable_telemetry = False
        self._clock = clock
        self._http = stripe.HTTPXClient(timeout=TIMEOUT_S)
        # Retries are the worker's: it alone knows for how long.
        self._client = stripe.StripeClient(
            api_key, base_addresses={"api": url.rstrip("/")}, http_client=self._http, max_network_retries=0
        )

    async def close(self) -> None:
        """Gives up the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def authorise(self, key: str, token: str, amount: Money) -> Answer:
        order_id = key.partition(":")[0]
        metadata = {"order_id": order_id, "forno_key": key}
        params: dict[str, Any] = {
            "amount": stripe_minor(amount),
            "currency": amount.currency.lower(),
            "capture_method": "manual",
            "confirm": True,
            "payment_method_types": ["card"],
            "metadata": metadata,
            **_means(token),
        }
        try:
            known = await self._made_long_ago(order_id, key)
            return await self._outcome(known or await self._make(params, key))
        except stripe.CardError as error:
            return Answer(False, reason=_word(error))
        except stripe.InvalidRequestError as error:
            return Answer(False, reason=_word(error))

    async def check(self, provider_ref: str) -> Answer:
        intent = await self._intent(provider_ref)
        try:
            return await self._outcome(intent)
        except stripe.InvalidRequestError as error:  # it changed between the look and giving it up
            raise Retryable(f"Stripe refused: {_word(error)}", reason="INTENT_CHANGED") from error

    async def capture(self, key: str, provider_ref: str, amount: Money) -> Answer:
        minor = stripe_minor(amount)
        try:
            intent = await _answered(
                self._client.v1.payment_intents.capture_async(
                    provider_ref, {"amount_to_capture": minor}, {"idempotency_key": key}
                )
            )
        except stripe.InvalidRequestError as error:  # captured before, by a call whose key is forgotten?
            intent = await self._intent(provider_ref)
            return Answer(intent.status == "succeeded" and intent.amount_received == minor, reason=_word(error))
        return Answer(intent.status == "succeeded", reason=intent.status)

    async def void(self, key: str, provider_ref: str) -> Answer:
        try:
            intent = await self._cancel(provider_ref, key)
        except stripe.InvalidRequestError as error:
            intent = await self._intent(provider_ref)
            return Answer(intent.status == "canceled", reason=_word(error))
        return Answer(intent.status == "canceled", reason=intent.status)

    async def refund(self, key: str, provider_ref: str, amount: Money) -> Answer:
        metadata = {"forno_key": key}
        try:
            refund = await self._refunded_before(key, provider_ref)
            if refund is None:
                refund = await _answered(
                    self._client.v1.refunds.create_async(
                        {"payment_intent": provider_ref, "amount": stripe_minor(amount), "metadata": metadata},
                        {"idempotency_key": key},
                    )
                )
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            return Answer(False, reason=_word(error))
        # "pending": the money is on its way back, as far as anybody can tell.
        return Answer(refund.status in ("succeeded", "pending"), reason=refund.status or "")

    async def notices(self) -> AsyncIterator[Notice]:
        """None: a webhook has the payment looked at (`webhooks`), it is not believed."""
        await asyncio.Event().wait()
        yield  # type: ignore[misc]

    async def _make(self, params: Any, key: str) -> PaymentIntent:
        return await _answered(self._client.v1.payment_intents.create_async(params, {"idempotency_key": key}))

    async def _intent(self, provider_ref: str) -> PaymentIntent:
        """Raises `Retryable` for one that Stripe does not know: of another provider or account, so somebody has to put
        the settings right, and nothing can be said of the money until then.
        """
        try:
            return await _answered(self._client.v1.payment_intents.retrieve_async(provider_ref))
        except stripe.InvalidRequestError as error:
            raise Retryable(
                f"Stripe does not know {provider_ref!r}: {_word(error)}", reason="UNKNOWN_INTENT"
            ) from error

    async def _cancel(self, provider_ref: str, key: str) -> PaymentIntent:
        options: Any = {"idempotency_key": key}
        return await _answered(self._client.v1.payment_intents.cancel_async(provider_ref, {}, options))

    async def _made_long_ago(self, order_id: str, key: str) -> PaymentIntent | None:
        """The intent of a call that was made when its key was still known; looked for only when it may be forgotten."""
        if self._clock.wall_ms() - created_ms(OrderId(order_id)) < KEYS_LIVE_MS:
            return None
        query = f"metadata['forno_key']:'{key}'"
        found = await _answered(self._client.v1.payment_intents.search_async({"query": query, "limit": 1}))
        return found.data[0] if found.data else None

    async def _refunded_before(self, key: str, provider_ref: str) -> Refund | None:
        """Refunds are few: all of the payment's are looked at, so that a forgotten key gives nothing back twice."""
        found = await _answered(self._client.v1.refunds.list_async({"payment_intent": provider_ref, "limit": 100}))
        return next(
            (one for one in found.data if one.metadata and one.metadata.to_dict().get("forno_key") == key), None
        )

    async def _outcome(self, intent: PaymentIntent) -> Answer:
        match intent.status:
            case "requires_capture" | "succeeded":
                return Answer(True, intent.id)
            case "requires_action" | "processing":
                return Answer(False, intent.id, action=_action(intent))
            case status:
                if status != "canceled":
                    # The customer could still pay it with the secret they have: nobody would bring the food.
                    await self._cancel(intent.id, f"{intent.id}:give-up")
                failed = intent.last_payment_error
                return Answer(False, intent.id, (failed.code if failed else None) or status)


def _means(token: str) -> dict[str, Any]:
    if token.startswith("tok_"):
        return {"payment_method_data": {"type": "card", "card": {"token": token}}}
    return {"payment_method": token}


def _action(intent: PaymentIntent) -> ActionRequired:
    """What Stripe's library in the customer's browser needs (`stripe.handleNextAction`)."""
    following = intent.next_action
    if following is None:
        return ActionRequired("wait", "")
    redirect = following.redirect_to_url if following.type == "redirect_to_url" else None
    return ActionRequired(following.type, intent.client_secret or "", (redirect.url if redirect else None) or "")


def _word(error: stripe.StripeError) -> str:
    """The provider's word for why; never its message, which may quote what was sent."""
    told = error.error
    return (told.decline_code if told else None) or error.code or "invalid_request"


async def _answered(call: Awaitable[T]) -> T:
    """The answer. Raises `Retryable` when the outcome is not known, `Rejected` for a key that was used otherwise."""
    try:
        return await call
    except (stripe.CardError, stripe.InvalidRequestError):
        raise
    except stripe.IdempotencyError as error:
        raise Rejected("the key was used for another request", reason="KEY_REUSED") from error
    except stripe.StripeError as error:
        # Away, too many calls, a key still being answered, or our own key refused: none says what came of it.
        reason = f"Stripe did not answer: {type(error).__name__} {error.http_status or ''} {error.code or ''}".rstrip()
        raise Retryable(reason, reason="PROVIDER_AWAY") from error
