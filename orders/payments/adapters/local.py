"""A payment provider for development: keeps its own books, and misbehaves as the token says.

    tok_ok         approves at once
    tok_declined   refuses to authorise (insufficient_funds)
    tok_slow       takes one to three seconds for everything, seeded
    tok_duplicate  sends every answer once more by itself
    tok_lost       does what it was asked, but its first answer to each request is lost
    tok_sca        wants the customer to authenticate, who does so after three seconds
    tok_sca_fails  wants it, too, but the customer fails (authentication_failed)

Any other token is refused (unknown_token). Its books survive the death of the process, like those of a real one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from enum import StrEnum
from random import Random

import asyncpg

from node.errors import Rejected, Retryable
from node.postgres import UniqueViolated, session, statements
from orders.model import ActionRequired, OrderId
from orders.payments.model import Action, Answer, Money
from orders.payments.ports import Notice

SQL = statements(__file__)

_SCA = ("tok_sca", "tok_sca_fails")
TOKENS = ("tok_ok", "tok_declined", "tok_slow", "tok_duplicate", "tok_lost", *_SCA)

#: How long the customer takes to authenticate, wall seconds.
CUSTOMER_TAKES_S = 3.0

#: Notices that nobody fetched; when full, more are lost, as with any webhook.
_NOTICES = 1024

_NO_MONEY = Money(0, "")


class ChargeState(StrEnum):
    """State of a charge at the provider."""

    #: The customer has to authenticate.
    WAITING = "WAITING"
    HELD = "HELD"
    REFUSED = "REFUSED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


class LocalProvider:
    """The provider. One statement a call, in tables of its own."""

    def __init__(self, pool: asyncpg.Pool, seed: int) -> None:
        self._pool = pool
        self._seed = seed
        self._notices: asyncio.Queue[Notice] = asyncio.Queue(_NOTICES)

    async def authorise(self, key: str, token: str, amount: Money) -> Answer:
        refusal = {"tok_declined": "insufficient_funds"}.get(token, "" if token in TOKENS else "unknown_token")
        ref = "" if refusal else "loc_" + hashlib.blake2b(key.encode(), digest_size=10).hexdigest()
        await self._delay(key, token)
        state = ChargeState.WAITING if token in _SCA else ChargeState.HELD
        async with session(self._pool) as connection:
            row = await connection.fetchrow(
                SQL.authorise, key, not refusal, ref, refusal, amount.minor, amount.currency, token, state
            )
        answer = self._said(key, token, amount, row)
        return await self.check(answer.provider_ref) if token in _SCA else answer

    async def check(self, provider_ref: str) -> Answer:
        async with session(self._pool) as connection:
            state = await connection.fetchval(SQL.check, provider_ref, CUSTOMER_TAKES_S)
        match state:
            case ChargeState.WAITING:
                return Answer(False, provider_ref, action=ActionRequired("local", f"{provider_ref}_secret"))
            case ChargeState.REFUSED:
                return Answer(False, provider_ref, "authentication_failed")
            case ChargeState.HELD:
                return Answer(True, provider_ref)
            case None:
                raise Retryable(f"there is no charge {provider_ref!r}", reason="UNKNOWN_INTENT")
            case other:
                return Answer(False, provider_ref, f"it is {other}")

    async def capture(self, key: str, provider_ref: str, amount: Money) -> Answer:
        return await self._move(key, provider_ref, amount, (ChargeState.HELD,), ChargeState.CAPTURED)

    async def void(self, key: str, provider_ref: str) -> Answer:
        before = (ChargeState.HELD, ChargeState.WAITING, ChargeState.REFUSED)
        return await self._move(key, provider_ref, _NO_MONEY, before, ChargeState.VOIDED)

    async def refund(self, key: str, provider_ref: str, amount: Money) -> Answer:
        return await self._move(
            key, provider_ref, amount, (ChargeState.CAPTURED,), ChargeState.REFUNDED, refunded_minor=amount.minor
        )

    async def notices(self) -> AsyncIterator[Notice]:
        while True:
            yield await self._notices.get()

    async def _move(
        self,
        key: str,
        provider_ref: str,
        amount: Money,
        before: tuple[ChargeState, ...],
        after: ChargeState,
        *,
        refunded_minor: int = 0,
    ) -> Answer:
        refusal = f"not_{before[0].lower()}"
        async with session(self._pool) as connection:
            token = await connection.fetchval(SQL.token, provider_ref) or ""
        await self._delay(key, token)
        try:
            async with session(self._pool) as connection:
                row = await connection.fetchrow(
                    SQL.move, key, provider_ref, before, after, refusal, amount.minor, amount.currency, refunded_minor
                )
        except UniqueViolated as error:  # asked twice at the same moment: the other one did it
            raise Retryable(f"{key} is being answered", reason="BUSY") from error
        return self._said(key, token, amount, row)

    async def _delay(self, key: str, token: str) -> None:
        if token == "tok_slow":
            await asyncio.sleep(1 + 2 * Random(f"{self._seed}:{key}").random())

    def _said(self, key: str, token: str, amount: Money, row: asyncpg.Record) -> Answer:
        """The answer in the books, or what the token makes of it."""
        if (row["amount_minor"], row["currency"]) != (amount.minor, amount.currency):
            raise Rejected(f"{key} was used for another amount", reason="KEY_REUSED")
        answer = Answer(row["approved"], row["provider_ref"], row["reason"])
        if token == "tok_lost" and row["times"] == 1:
            raise Retryable(f"the answer to {key} was lost", reason="ANSWER_LOST")
        order_id, action, *refund = key.split(":")
        if token == "tok_duplicate" and not refund and not self._notices.full():
            self._notices.put_nowait(Notice(OrderId(order_id), Action(action.upper()), answer))
        return answer
