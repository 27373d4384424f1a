"""The payment book: memory and Postgres keep the same promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
import pytest_asyncio
import structlog

from deploy.stack.stack import LocalStack
from node.clock import ManualClock
from node.errors import Rejected, Retryable
from node.outbox.message import Message
from node.outbox.postgres import PostgresOutbox
from node.postgres import DataAtFault
from orders.messaging.inbox import UNKNOWN_KIND
from orders.messaging.message import Offset
from orders.model import ActionRequired
from orders.payments.adapters.codec import decode
from orders.payments.adapters.local import LocalProvider
from orders.payments.adapters.memory import MemoryPayments
from orders.payments.adapters.postgres import SCHEMAS, PostgresPayments
from orders.payments.instructions import Instruction
from orders.payments.ledger import Account
from orders.payments.metrics import CALLS
from orders.payments.model import Action, Answer, Goal, Money, PaymentStatus, RefundStatus
from orders.payments.payment_worker import PaymentWorker
from orders.payments.ports import Notice
from orders.payments.transitions import Settled, settled
from proto.orders.v1 import order_event_pb2 as order_pb
from proto.payments.v1.payment_event_pb2 import PaymentEvent
from tests.contract.orders_databases import empty, migrated_pool
from tests.unit.orders.worlds import NOW_MS, order_id

Book = MemoryPayments | PostgresPayments

APPROVED = Answer(True, "ref-1")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool(stack: LocalStack) -> AsyncIterator[asyncpg.Pool]:
    """The database of this file."""
    async with migrated_pool(stack, SCHEMAS) as pool:
        yield pool


@pytest.fixture
async def postgres_book(pool: asyncpg.Pool) -> PostgresPayments:
    """An empty book in Postgres, and nothing in the books of the local provider."""
    await empty(pool, "payments", "outbox", "inbox_held", "local_provider.answers", "local_provider.charges")
    return PostgresPayments(pool, ManualClock(NOW_MS), lambda: None)


@pytest.fixture(params=["memory", "postgres"])
def book(request: pytest.FixtureRequest, postgres_book: PostgresPayments) -> Book:
    """An empty book of each kind in turn."""
    return MemoryPayments(ManualClock(NOW_MS)) if request.param == "memory" else postgres_book


def told(version: int, kind: str, token: str = "tok_ok") -> Instruction:
    """An event of the one order."""
    event = order_pb.OrderEvent(order_id=order_id(), version=version, at_ms=NOW_MS)
    getattr(event, kind).SetInParent()
    if kind == "placed":
        event.placed.payment_token = token
        event.placed.amount.minor = 11_000
        event.placed.amount.currency = "CLP"
        event.placed.parts.CopyFrom(
            order_pb.Parts(food_minor=7_500, delivery_minor=1_500, tip_minor=500, tax_minor=1_500)
        )
    return decode(event.SerializeToString())


def offset(number: int) -> list[Offset]:
    """Somewhere in order.events."""
    return [Offset("order.events", 0, number)]


async def relayed(book: Book) -> list[str | None]:
    """The kinds of all events that are to be sent, sent."""
    sent: list[Message] = []

    async def send(messages: Sequence[Message]) -> dict[int, str]:
        sent.extend(messages)
        return {}

    outbox = book.outbox if isinstance(book, MemoryPayments) else PostgresOutbox(book._pool)
    while await outbox.relay(100, send):
        pass
    return [PaymentEvent.FromString(message.payload).WhichOneof("kind") for message in sent]


async def serve_due(worker: PaymentWorker) -> None:
    """Have the worker serve what is due now, once."""
    for payment in await worker._claimed():
        await worker._serve(payment)


async def serve(book: Book, action: Action, answer: Answer = APPROVED) -> bool:
    """Claims the one payment and settles the action."""
    (payment,) = await book.claim(10, 20)
    done = settled(payment, action, answer)
    assert done is not None
    return await book.settle(done, NOW_MS)


async def test_a_payment_goes_all_the_way(book: Book) -> None:
    """Authorised, captured, posted twice, told twice, nothing left to do."""
    await book.receive([told(1, "placed")], offset(1))
    assert await serve(book, Action.AUTHORISE)
    assert await book.claim(10, 20) == []
    await book.receive([told(2, "accepted"), told(3, "delivered")], offset(3))
    assert await serve(book, Action.CAPTURE)
    payment = await book.get(order_id())
    assert payment is not None
    assert (payment.status, payment.provider_ref, payment.version) == (PaymentStatus.CAPTURED, "ref-1", 2)
    assert [posting.key.partition(":")[2] for posting in await book.postings(order_id())] == ["authorise", "capture"]
    assert await relayed(book) == ["authorised", "captured"]
    assert await book.claim(10, 20) == []


async def test_a_claimed_payment_is_nobody_elses(book: Book) -> None:
    """A claim hides it; a postponed one is due again only later; a claim counts an attempt."""
    await book.receive([told(1, "placed")], offset(1))
    (claimed,) = await book.claim(10, 20)
    assert claimed.attempts == 1
    assert await book.claim(10, 20) == []
    await book.postpone(order_id(), 3600)
    assert await book.claim(10, 20) == []
    await book.postpone(order_id(), 0)
    (again,) = await book.claim(10, 20)
    assert again.attempts == 2


async def test_an_answer_that_comes_twice_is_settled_once(book: Book) -> None:
    """The second one finds that the payment has moved on: no posting, no event."""
    await book.receive([told(1, "placed")], offset(1))
    (payment,) = await book.claim(10, 20)
    done = settled(payment, Action.AUTHORISE, APPROVED)
    assert done is not None
    assert await book.settle(done, NOW_MS)
    assert not await book.settle(done, NOW_MS)
    assert len(await book.postings(order_id())) == 1
    assert await relayed(book) == ["authorised"]


async def test_a_cancel_during_the_call_is_acted_upon_after_it(book: Book) -> None:
    """The answer was for a goal that has changed: the payment is due at once, to be voided."""
    await book.receive([told(1, "placed")], offset(1))
    (payment,) = await book.claim(10, 20)
    await book.receive([told(2, "cancelled")], offset(2))
    done = settled(payment, Action.AUTHORISE, APPROVED)
    assert done is not None
    assert await book.settle(done, NOW_MS)
    present = await book.get(order_id())
    assert present is not None
    assert (present.status, present.goal) == (PaymentStatus.AUTHORISED, Goal.CANCELLED)
    assert await serve(book, Action.VOID)
    assert await relayed(book) == ["authorised", "voided"]


async def test_a_cancel_during_a_call_that_is_declined_leaves_nothing_to_do(book: Book) -> None:
    """The goal has changed, but no money is anywhere: the payment is where it should be, and is not due for ever."""
    await book.receive([told(1, "placed")], offset(1))
    (claimed,) = await book.claim(10, 20)
    await book.receive([told(2, "cancelled")], offset(2))
    declined = settled(claimed, Action.AUTHORISE, Answer(False, reason="declined"))
    assert declined is not None
    assert await book.settle(declined, NOW_MS)
    present = await book.get(order_id())
    assert present is not None
    assert (present.status, present.goal) == (PaymentStatus.DECLINED, Goal.CANCELLED)
    assert await book.claim(10, 20) == []


async def test_gaps_are_held_and_a_repeated_request_repeats_the_answer(book: Book) -> None:
    """Delivered before placed waits; placed once more has the events sent once more."""
    heard = await book.receive([told(2, "cancelled")], offset(1))
    assert (heard.applied, heard.held) == (0, 1)
    assert await book.get(order_id()) is None
    heard = await book.receive([told(1, "placed")], offset(2))
    assert (heard.applied, heard.held) == (2, 0)
    assert await relayed(book) == ["voided"]
    heard = await book.receive([told(1, "placed")], offset(3))
    assert (heard.applied, heard.duplicates) == (0, 1)
    assert await relayed(book) == ["voided"]


async def test_an_instruction_of_an_unknown_kind_holds_up_none_behind_it(book: Book) -> None:
    """A newer release tells of something between accepted and delivered: the payment is captured all the same."""
    await book.receive([told(1, "placed")], offset(1))
    assert await serve(book, Action.AUTHORISE)
    heard = await book.receive([told(4, "delivered"), told(2, "accepted")], offset(3))
    assert (heard.applied, heard.held) == (1, 1)
    event = order_pb.OrderEvent(order_id=order_id(), version=3, at_ms=NOW_MS)
    unknown = decode(event.SerializeToString() + b"\xa2\x06\x00")
    assert unknown.flaw == UNKNOWN_KIND
    heard = await book.receive([unknown], offset(4))
    assert (heard.applied, heard.held) == (2, 0)
    assert await serve(book, Action.CAPTURE)


async def test_an_instruction_that_holds_a_nul_holds_up_none_behind_it(book: Book) -> None:
    """It is applied with the character escaped, also after waiting for the one before it."""
    event = order_pb.OrderEvent(order_id=order_id(), version=2, at_ms=NOW_MS)
    event.cancelled.reason = "a\0b"
    cancelled = decode(event.SerializeToString())
    assert cancelled.flaw == "cancelled.reason: holds a NUL, stored as \\x00; its version counts"
    heard = await book.receive([cancelled, told(3, "completed")], offset(1))
    assert (heard.applied, heard.held) == (0, 2)
    first = order_pb.OrderEvent.FromString(told(1, "placed", "tok\0").raw)
    assert first.placed.payment_token == "tok\\x00"
    heard = await book.receive([decode(first.SerializeToString())], offset(2))
    assert (heard.applied, heard.held) == (3, 0)
    payment = await book.get(order_id())
    assert payment is not None
    assert (payment.goal, payment.token) == (Goal.CANCELLED, "tok\\x00")


async def test_a_payment_that_waits_too_long_is_counted(book: Book) -> None:
    """What has something to do counts, what is done does not."""
    assert await book.overdue(-1) == 0
    await book.receive([told(1, "placed")], offset(1))
    assert (await book.overdue(-1), await book.overdue(3600)) == (1, 0)
    await serve(book, Action.AUTHORISE, Answer(False, reason="insufficient_funds"))
    assert await book.overdue(-1) == 0
    assert await relayed(book) == ["declined"]


async def test_a_refund_is_late_from_when_it_was_asked_for(book: Book) -> None:
    """Asked for an hour after the capture it has waited for no hour."""
    await captured(book)
    if isinstance(book, MemoryPayments):
        assert isinstance(book.clock, ManualClock)
        book.clock.advance(3_600_000)
    else:
        await book._pool.execute("update payments set changed_at = changed_at - interval '1 hour'")
    await book.ask_refund(order_id(), "key-00000001", None, "cold")
    assert (await book.overdue(60), await book.overdue(-1)) == (0, 1)


async def test_the_local_provider_declines_no_payment_of_another_provider(
    pool: asyncpg.Pool, postgres_book: PostgresPayments
) -> None:
    """A reference that is not its own: the customer's answer is not known, nothing is captured or given up."""
    provider = LocalProvider(pool, seed=1)
    with pytest.raises(Retryable) as raised:
        await provider.check("pi_of_stripe")
    assert raised.value.reason == "UNKNOWN_INTENT"
    assert not (await provider.capture("a:capture", "pi_of_stripe", Money(1_000, "CLP"))).approved
    assert not (await provider.void("a:void", "pi_of_stripe")).approved


class Refusing(LocalProvider):
    """Refuses every capture."""

    async def capture(self, key: str, provider_ref: str, amount: Money) -> Answer:
        """No."""
        return Answer(False, reason="no")


async def test_an_answer_that_refuses_is_counted_once(pool: asyncpg.Pool) -> None:
    """A refused capture is tried again, but it was answered."""
    book = MemoryPayments(ManualClock(NOW_MS))
    await book.receive([told(1, "placed")], offset(1))
    await serve(book, Action.AUTHORISE)
    await book.receive([told(2, "accepted"), told(3, "delivered")], offset(3))
    counts = [CALLS.labels(Action.CAPTURE, outcome)._value for outcome in ("refused", "unanswered")]
    before = [count.get() for count in counts]
    await serve_due(PaymentWorker(book, Refusing(pool, seed=1), book.clock, structlog.get_logger()))
    assert [count.get() - then for count, then in zip(counts, before, strict=True)] == [1, 0]
    assert await book.claim(10, 20) == []


class Telling(LocalProvider):
    """Tells twice of itself that the one payment was authorised, and then no more."""

    async def notices(self) -> AsyncIterator[Notice]:
        """Both."""
        for reference in ("no column holds it", "ref-1"):
            yield Notice(order_id(), Action.AUTHORISE, Answer(True, reference))


class Particular(MemoryPayments):
    """A book that, like Postgres, cannot hold every answer."""

    async def settle(self, settled: Settled, at_ms: int) -> bool:
        """Refuse what is too long."""
        if len(settled.payment.provider_ref) > 5:
            raise DataAtFault("provider_ref", "too long")
        return await super().settle(settled, at_ms)


async def test_a_notice_that_no_column_holds_ends_no_process(pool: asyncpg.Pool) -> None:
    """It is counted as unanswered, and the next one is stored."""
    book = Particular(ManualClock(NOW_MS))
    await book.receive([told(1, "placed")], offset(1))
    count = CALLS.labels(Action.AUTHORISE, "unanswered")._value
    before = count.get()
    await PaymentWorker(book, Telling(pool, seed=1), book.clock, structlog.get_logger()).follow_notices()
    payment = await book.get(order_id())
    assert payment is not None
    assert payment.status is PaymentStatus.AUTHORISED
    assert count.get() - before == 1


async def test_the_local_provider_answers_a_key_once_whatever_is_lost(
    pool: asyncpg.Pool, postgres_book: PostgresPayments
) -> None:
    """Lost answers, repeats and restarts move no money twice; the ledger and the provider's books agree."""
    book = postgres_book
    await book.receive([told(1, "placed", "tok_lost")], offset(1))
    for _ in range(2):  # the first answer is lost; a worker of another process asks again
        worker = PaymentWorker(book, LocalProvider(pool, seed=1), ManualClock(NOW_MS), structlog.get_logger())
        await book.postpone(order_id(), 0)
        await serve_due(worker)
    payment = await book.get(order_id())
    assert payment is not None
    assert payment.status is PaymentStatus.AUTHORISED
    charges = await pool.fetch("select * from local_provider.charges")
    assert [(row["amount_minor"], row["state"]) for row in charges] == [(11_000, "HELD")]
    assert await pool.fetchval("select times from local_provider.answers") == 2
    assert await pool.fetchval("select sum(amount_minor) from ledger") == 0


async def captured(book: Book) -> None:
    """The one payment, captured."""
    await book.receive([told(1, "placed")], offset(1))
    await serve(book, Action.AUTHORISE)
    await book.receive([told(2, "accepted"), told(3, "delivered")], offset(3))
    await serve(book, Action.CAPTURE)


async def test_refunds_are_asked_for_once_a_key_and_made_one_after_the_other(book: Book) -> None:
    """Some, then the rest; told with the total; never more than was captured; the ledger says what is left."""
    await captured(book)
    first, replayed = await book.ask_refund(order_id(), "key-00000001", Money(4_000, "CLP"), "cold")
    assert (first.minor, replayed) == (4_000, False)
    assert await book.ask_refund(order_id(), "key-00000001", Money(4_000, "CLP"), "cold") == (first, True)
    rest, _ = await book.ask_refund(order_id(), "key-00000002", None, "late")
    assert rest.minor == 7_000
    with pytest.raises(Rejected) as refusal:
        await book.ask_refund(order_id(), "key-00000003", Money(1, "CLP"), "")
    assert refusal.value.reason == "REFUND_TOO_LARGE"
    assert await serve(book, Action.REFUND)
    payment = await book.get(order_id())
    assert payment is not None
    assert (payment.status, payment.refunded_minor) == (PaymentStatus.CAPTURED, 4_000)
    assert await serve(book, Action.REFUND)
    payment = await book.get(order_id())
    assert payment is not None
    assert (payment.status, payment.refunded_minor, payment.refund) == (PaymentStatus.REFUNDED, 11_000, None)
    assert await book.claim(10, 20) == []
    assert await relayed(book) == ["authorised", "captured", "refunded", "refunded"]
    held = dict.fromkeys(Account, 0)
    for posting in await book.postings(order_id()):
        for account, minor in posting.legs.items():
            held[account] += minor
    assert set(held.values()) == {0}
    assert [refund.status for refund in await book.refunds(order_id())] == [RefundStatus.DONE] * 2


async def test_a_refused_refund_is_told_to_nobody_and_another_may_be_asked_for(book: Book) -> None:
    """The provider's word is kept; no money moved."""
    await captured(book)
    await book.ask_refund(order_id(), "key-00000001", None, "cold")
    assert await serve(book, Action.REFUND, Answer(False, reason="charge_disputed"))
    (refund,) = await book.refunds(order_id())
    assert (refund.status, refund.refusal) == (RefundStatus.REFUSED, "charge_disputed")
    assert await relayed(book) == ["authorised", "captured"]
    again, _ = await book.ask_refund(order_id(), "key-00000002", None, "cold")
    assert again.minor == 11_000
    assert await serve(book, Action.REFUND)


async def test_the_answer_to_a_refund_that_comes_twice_is_settled_once(book: Book) -> None:
    """The second one finds that it was made."""
    await captured(book)
    await book.ask_refund(order_id(), "key-00000001", Money(500, "CLP"), "cold")
    (payment,) = await book.claim(10, 20)
    done = settled(payment, Action.REFUND, APPROVED)
    assert done is not None
    assert await book.settle(done, NOW_MS)
    assert not await book.settle(done, NOW_MS)
    assert len(await book.postings(order_id())) == 3


async def test_a_webhook_counts_once(book: Book) -> None:
    """The payment that waits for the customer is looked at now; the event again changes nothing."""
    await book.receive([told(1, "placed")], offset(1))
    action = ActionRequired("use_stripe_sdk", "secret")
    assert await serve(book, Action.AUTHORISE, Answer(False, "pi_1", action=action))
    assert await relayed(book) == ["action_required"]
    await book.postpone(order_id(), 3600)
    assert await book.claim(10, 20) == []
    assert await book.note_webhook("evt_1", "payment_intent.amount_capturable_updated", order_id())
    assert len(await book.claim(10, 3600)) == 1
    assert not await book.note_webhook("evt_1", "payment_intent.amount_capturable_updated", order_id())
    assert await book.claim(10, 20) == []


@pytest.mark.parametrize(
    "statement",
    [
        "insert into ledger values ('k', 'customer', $1, 5, 'CLP'), ('k', 'food', $1, -4, 'CLP')",
        "insert into ledger values ('k', 'customer', $1, 5, 'CLP')",
        "insert into ledger values ('k', 'customer', $1, 5, 'CLP'), ('k', 'food', $1, -5, 'EUR')",
        "update ledger set amount_minor = 1 where order_id = $1",
        "delete from ledger where order_id = $1",
        "update payments set refunded_minor = amount_minor + 1 where order_id = $1",
    ],
)
async def test_the_database_itself_keeps_the_books_balanced(
    pool: asyncpg.Pool, postgres_book: PostgresPayments, statement: str
) -> None:
    """Whatever the code does: no posting that is not zero, no change of what was posted, no refund without money."""
    await captured(postgres_book)
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(statement, order_id())
    assert await pool.fetchval("select sum(amount_minor) from ledger") == 0


async def test_the_local_provider_gives_back_in_parts_and_waits_for_the_customer(
    pool: asyncpg.Pool, postgres_book: PostgresPayments
) -> None:
    """Two refunds of one charge, each once, never more than it took; a customer who authenticates, one who fails."""
    provider, amount = LocalProvider(pool, seed=1), Money(1_000, "CLP")
    held = await provider.authorise("a:authorise", "tok_ok", amount)
    assert (await provider.capture("a:capture", held.provider_ref, amount)).approved
    for _ in range(2):
        assert (await provider.refund("a:refund:1", held.provider_ref, Money(400, "CLP"))).approved
    assert not (await provider.refund("a:refund:2", held.provider_ref, Money(601, "CLP"))).approved
    assert (await provider.refund("a:refund:3", held.provider_ref, Money(600, "CLP"))).approved
    assert await pool.fetchval("select state from local_provider.charges") == "REFUNDED"
    for token, approved in (("tok_sca", True), ("tok_sca_fails", False)):
        waiting = await provider.authorise(f"{token}:authorise", token, amount)
        assert waiting.action is not None
        await pool.execute("update local_provider.charges set made_at = made_at - interval '4 seconds'")
        answer = await provider.check(waiting.provider_ref)
        assert (answer.approved, answer.action) == (approved, None)
        assert (await provider.void(f"{token}:void", waiting.provider_ref)).approved
