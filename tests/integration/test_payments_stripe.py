"""Payments by Stripe's own library against real peers over HTTP: localstripe, and ours for what that one cannot do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import httpx
import orjson
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from node.clock import SystemClock
from node.errors import Rejected, Retryable
from node.rpc import fault_of
from orders import cli
from orders.ids import order_id_at
from orders.payments.adapters.stripe import StripeProvider
from orders.payments.adapters.webhooks import PATH
from orders.payments.model import Money
from proto.common.v1 import types_pb2
from proto.orders.v1 import orders_pb2 as pb
from proto.payments.v1 import payments_pb2 as payments_pb
from tests.integration.orders_world import OrdersWorld, free_address, orders_world, until
from tests.integration.stripe_peer import signature
from tests.integration.stripe_world import API_KEY, WEBHOOK_SECRET, Peer, localstripe, stripe_peer

#: Stripe's library hands its body to httpx in a way that httpx would rather have otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

PESOS, YEN, EURO = Money(11_340, "CLP"), Money(2_500, "JPY"), Money(1_999, "EUR")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def theirs() -> AsyncIterator[Peer]:
    """localstripe."""
    async with localstripe() as peer:
        yield peer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ours() -> AsyncIterator[Peer]:
    """Our peer."""
    async with stripe_peer() as peer:
        yield peer


@pytest_asyncio.fixture(params=["theirs", "ours"], loop_scope="session")
async def provider(request: pytest.FixtureRequest, theirs: Peer, ours: Peer) -> AsyncIterator[StripeProvider]:
    """The adapter upon each peer in turn."""
    peer = {"theirs": theirs, "ours": ours}[request.param]
    adapter = StripeProvider(API_KEY, peer.url, SystemClock())
    yield adapter
    await adapter.close()


@pytest_asyncio.fixture(loop_scope="session")
async def upon_ours(ours: Peer) -> AsyncIterator[StripeProvider]:
    """The adapter upon our peer."""
    adapter = StripeProvider(API_KEY, ours.url, SystemClock())
    yield adapter
    await adapter.close()


def new_key(*, hours_ago: float = 0) -> str:
    """The key with which a new order is authorised."""
    made_ms = int(1000 * (time.time() - 3600 * hours_ago))
    return f"{order_id_at(made_ms, 7, time.monotonic_ns() % 2**58)}:authorise"


@pytest.mark.parametrize("amount", [PESOS, YEN, EURO])
async def test_money_is_held_captured_and_given_back_in_parts(
    provider: StripeProvider, request: pytest.FixtureRequest, theirs: Peer, ours: Peer, amount: Money
) -> None:
    """Zero-decimal currencies are not multiplied by a hundred; two refunds give back all."""
    peer = theirs if "theirs" in request.node.callspec.id else ours
    key = new_key()
    held = await provider.authorise(key, "pm_card_visa", amount)
    assert held.approved
    intent = await peer.get(f"/v1/payment_intents/{held.provider_ref}")
    assert (intent["amount"], intent["currency"], intent["status"]) == (
        amount.minor, amount.currency.lower(), "requires_capture",
    )  # fmt: skip
    assert (await provider.capture(f"{key}:capture", held.provider_ref, amount)).approved
    first, rest = Money(1_000, amount.currency), Money(amount.minor - 1_000, amount.currency)
    for number, part in enumerate((first, rest)):
        assert (await provider.refund(f"{key}:refund:{number}", held.provider_ref, part)).approved
    refunds = await peer.get(f"/v1/refunds?payment_intent={held.provider_ref}")
    assert sorted(one["amount"] for one in refunds["data"]) == sorted([1_000, amount.minor - 1_000])


async def test_a_refused_card_is_declined_with_stripes_word(provider: StripeProvider, ours: Peer) -> None:
    """Each peer has its own method that is refused."""
    for method, word in (("pm_card_chargeCustomerFail", "card_declined"), ("pm_declined", "insufficient_funds")):
        answer = await provider.authorise(new_key(), method, EURO)
        if not answer.approved and answer.reason == word:
            return
    pytest.fail("neither was refused as it should be")


async def test_what_is_not_captured_is_given_up(provider: StripeProvider) -> None:
    """Voided once, and again as a repeat."""
    key = new_key()
    held = await provider.authorise(key, "pm_card_visa", EURO)
    assert (await provider.void(f"{key}:void", held.provider_ref)).approved
    assert (await provider.void(f"{key}:void", held.provider_ref)).approved
    assert not (await provider.capture(f"{key}:capture", held.provider_ref, EURO)).approved


@pytest.mark.parametrize("action", ["check", "capture", "void"])
async def test_an_intent_that_stripe_does_not_know_is_asked_for_again(provider: StripeProvider, action: str) -> None:
    """Of another provider or account: nothing is said of the money, the payment is overdue until somebody looks."""
    ref = "pi_of_another_account"
    calls = {
        "check": lambda: provider.check(ref),
        "capture": lambda: provider.capture(f"{new_key()}:capture", ref, EURO),
        "void": lambda: provider.void(f"{new_key()}:void", ref),
    }
    with pytest.raises(Retryable) as raised:
        await calls[action]()
    assert raised.value.reason == "UNKNOWN_INTENT"


async def test_a_customer_authenticates_with_localstripe(theirs: Peer) -> None:
    """The secret is passed on; after the customer acted the hold is there."""
    provider = StripeProvider(API_KEY, theirs.url, SystemClock())
    card = {"card[number]": "4000002500003155", "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
    method = await theirs.post("/v1/payment_methods", type="card", **card)
    waiting = await provider.authorise(new_key(), method["id"], EURO)
    assert waiting.action is not None
    assert waiting.action.kind == "use_stripe_sdk"
    assert (await provider.check(waiting.provider_ref)).action is not None
    path = f"/v1/payment_intents/{waiting.provider_ref}/_authenticate"
    await theirs.post(path, client_secret=waiting.action.client_secret, success="true")
    assert (await provider.check(waiting.provider_ref)).approved
    await provider.close()


@pytest.mark.parametrize(
    "peer_name",
    [
        "ours",
        pytest.param("theirs", marks=pytest.mark.xfail(strict=True, reason="localstripe ignores Idempotency-Key")),
    ],
)
async def test_the_same_key_holds_money_once(peer_name: str, theirs: Peer, ours: Peer) -> None:
    """Asked twice, held once."""
    provider = StripeProvider(API_KEY, {"ours": ours, "theirs": theirs}[peer_name].url, SystemClock())
    key = new_key()
    first = await provider.authorise(key, "pm_card_visa", EURO)
    again = await provider.authorise(key, "pm_card_visa", EURO)
    await provider.close()
    assert first == again


async def test_a_key_that_was_used_for_another_amount_is_an_error(upon_ours: StripeProvider) -> None:
    """Neither declined nor approved: somebody has to look at it."""
    key = new_key()
    await upon_ours.authorise(key, "pm_card_visa", EURO)
    with pytest.raises(Rejected, match="another request"):
        await upon_ours.authorise(key, "pm_card_visa", Money(5, "EUR"))


@pytest.mark.parametrize("method", ["pm_lost", "pm_busy", "pm_away"])
async def test_a_call_without_an_answer_is_made_again_and_does_it_once(
    ours: Peer, upon_ours: StripeProvider, method: str
) -> None:
    """Lost after the deed, still being answered, or not taken: the outcome is unknown, the next call tells it."""
    key = new_key()
    with pytest.raises(Retryable):
        await upon_ours.authorise(key, method, EURO)
    held = await upon_ours.authorise(key, method, EURO)
    assert held.approved
    with pytest.raises(Retryable):
        await upon_ours.capture(f"{key}:capture", held.provider_ref, EURO)
    assert (await upon_ours.capture(f"{key}:capture", held.provider_ref, EURO)).approved
    with pytest.raises(Retryable):
        await upon_ours.refund(f"{key}:refund", held.provider_ref, Money(500, "EUR"))
    assert (await upon_ours.refund(f"{key}:refund", held.provider_ref, Money(500, "EUR"))).approved
    (intent,) = await ours.intents_of(key.partition(":")[0])
    assert (intent["status"], intent["amount_received"]) == ("succeeded", EURO.minor)
    refunds = [one for one in (await ours.state())["refunds"] if one["payment_intent"] == intent["id"]]
    assert [one["amount"] for one in refunds] == [500]
    assert (await ours.state())["keyless"] == 0


async def test_nothing_is_done_twice_when_stripe_has_forgotten_the_keys(ours: Peer, upon_ours: StripeProvider) -> None:
    """A day later: the intent is found by its metadata, the capture by its state, the refund by its metadata."""
    key = new_key(hours_ago=30)
    held = await upon_ours.authorise(key, "pm_card_visa", EURO)
    await ours.post("/_peer/forget_keys")
    assert await upon_ours.authorise(key, "pm_card_visa", EURO) == held
    for _ in range(2):
        assert (await upon_ours.capture(f"{key}:capture", held.provider_ref, EURO)).approved
        await ours.post("/_peer/forget_keys")
    for _ in range(2):
        assert (await upon_ours.refund(f"{key}:refund", held.provider_ref, Money(500, "EUR"))).approved
        await ours.post("/_peer/forget_keys")
    assert len(await ours.intents_of(key.partition(":")[0])) == 1
    assert [
        one["amount"] for one in (await ours.state())["refunds"] if one["payment_intent"] == held.provider_ref
    ] == [500]  # fmt: skip


async def test_more_than_was_paid_is_not_given_back(upon_ours: StripeProvider) -> None:
    """Refused with Stripe's word. (localstripe would give it.)"""
    key = new_key()
    held = await upon_ours.authorise(key, "pm_card_visa", EURO)
    await upon_ours.capture(f"{key}:capture", held.provider_ref, EURO)
    refused = await upon_ours.refund(f"{key}:refund", held.provider_ref, Money(2_000, "EUR"))
    assert (refused.approved, refused.reason) == (False, "amount_too_large")


async def test_a_wrong_api_key_declines_nobody(ours: Peer) -> None:
    """Our fault, not the customer's: tried again until somebody sets it right."""
    provider = StripeProvider("sk_test_wrong", ours.url, SystemClock())
    with pytest.raises(Retryable, match="AuthenticationError"):
        await provider.authorise(new_key(), "pm_card_visa", EURO)
    await provider.close()


WEBHOOKS = free_address()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory, ours: Peer) -> AsyncIterator[OrdersWorld]:
    """Orders and payments as processes, payments by Stripe upon our peer."""
    settings = {
        "FORNO_PAYMENT_PROVIDER": "stripe",
        "FORNO_STRIPE_API_KEY": API_KEY,
        "FORNO_STRIPE_API_URL": ours.url,
        "FORNO_STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "FORNO_STRIPE_WEBHOOK_LISTEN": WEBHOOKS,
    }
    async with orders_world(stack, tmp_path_factory.mktemp("stripe"), settings) as running:
        await ours.post("/_peer/webhooks", url=f"http://{WEBHOOKS}{PATH}")
        yield running


async def as_customer(world: OrdersWorld, order_id: str) -> pb.Order:
    """The order as its own customer sees it."""
    return (await world.orders.Get(pb.GetRequest(order_id=order_id, user_id="ana"))).order


async def test_a_customer_authenticates_and_the_order_goes_all_the_way(world: OrdersWorld, ours: Peer) -> None:
    """The order says what is to be done, to its customer alone; the webhook sets it going, again it does nothing."""
    placed = await world.place(token="pm_sca")
    order = await until(
        lambda: as_customer(world, placed.order_id), lambda order: order.HasField("action_required"), "it waits"
    )
    assert (order.status, order.action_required.kind) == (pb.ORDER_STATUS_PLACED, "use_stripe_sdk")
    assert not (await world.order(placed.order_id)).HasField("action_required")
    (intent,) = await ours.intents_of(placed.order_id)
    secret = order.action_required.client_secret
    assert secret == intent["client_secret"]
    await ours.post("/_peer/authenticate", id=intent["id"], client_secret=secret, well="yes")
    await world.until_status(placed.order_id, "ACCEPTED")
    assert not (await as_customer(world, placed.order_id)).HasField("action_required")
    await world.deliver(placed.order_id)
    await world.until_status(placed.order_id, "COMPLETED")
    await ours.post("/_peer/resend")
    request = payments_pb.RefundRequest(
        order_id=placed.order_id,
        idempotency_key="half-of-it",
        amount=types_pb2.Money(minor=5_000, currency="CLP"),
        reason="cold",
    )
    first, again = await world.payments.Refund(request), await world.payments.Refund(request)
    assert (first.replayed, again.replayed) == (False, True)
    refunded = await until(
        lambda: as_customer(world, placed.order_id), lambda order: order.refunded.minor > 0, "it is given back"
    )
    assert refunded.refunded.minor == 5_000
    payment = (await world.payments.Get(payments_pb.GetRequest(order_id=placed.order_id))).payment
    assert (payment.status, payment.refunded.minor) == (payments_pb.PAYMENT_STATUS_CAPTURED, 5_000)
    assert [one["amount"] for one in (await ours.state())["refunds"] if one["payment_intent"] == intent["id"]] == [
        5_000
    ]
    rows = await world.fetch("payments", "select sum(amount_minor) as minor from ledger")
    assert rows[0]["minor"] == 0


async def test_a_customer_who_fails_to_authenticate_ends_the_order(world: OrdersWorld, ours: Peer) -> None:
    """Declined with Stripe's word, and the intent can be paid by nobody any more."""
    placed = await world.place(token="pm_sca")
    order = await until(
        lambda: as_customer(world, placed.order_id), lambda order: order.HasField("action_required"), "it waits"
    )
    (intent,) = await ours.intents_of(placed.order_id)
    await ours.post(
        "/_peer/authenticate", id=intent["id"], client_secret=order.action_required.client_secret, well="no"
    )
    declined = await world.until_status(placed.order_id, "DECLINED")
    assert declined.history[-1].reason == "payment_intent_authentication_failure"
    (intent,) = await ours.intents_of(placed.order_id)
    assert intent["status"] == "canceled"


async def test_a_customer_who_cancels_instead_pays_nothing(world: OrdersWorld, ours: Peer) -> None:
    """What waited is given up at Stripe; the ledger never heard of it."""
    placed = await world.place(token="pm_sca")
    await until(
        lambda: as_customer(world, placed.order_id), lambda order: order.HasField("action_required"), "it waits"
    )
    await world.orders.Cancel(pb.CancelRequest(order_id=placed.order_id, user_id="ana"))
    await world.until_payment(placed.order_id, "VOIDED")
    (intent,) = await ours.intents_of(placed.order_id)
    assert intent["status"] == "canceled"
    assert await world.fetch("payments", "select from ledger where order_id = $1", placed.order_id) == []


async def test_lost_answers_charge_once(world: OrdersWorld, ours: Peer) -> None:
    """Each first answer is lost: the whole way is gone, one intent, captured once."""
    placed = await world.place(token="pm_lost")
    await world.until_status(placed.order_id, "ACCEPTED")
    await world.deliver(placed.order_id)
    await world.until_status(placed.order_id, "COMPLETED")
    (intent,) = await ours.intents_of(placed.order_id)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", placed.price.total.minor)


async def test_the_command_gives_money_back(
    world: OrdersWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`forno orders refund`: a part, the same key again, all that is left, and nothing when nothing is."""
    monkeypatch.setenv("FORNO_PAYMENTS_ADDRESS", world.payments_process.listen)
    placed = await world.place(token="pm_ok")
    await world.until_status(placed.order_id, "ACCEPTED")
    await world.deliver(placed.order_id)
    await world.until_status(placed.order_id, "COMPLETED")

    async def refund(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(cli.main, ["refund", placed.order_id, *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    for replayed in (False, True):
        code, out, _ = await refund("--amount", "1000", "--key", "half-an-hour-late", "--reason", "late", "--json")
        told = orjson.loads(out)
        assert (code, told["replayed"], told["amount"]["minor"]) == (0, replayed, "1000")
        assert told["status"] == "REFUND_STATUS_DONE"
    left = placed.price.total.minor - 1_000
    assert await refund() == (0, f"given back: {left} CLP (minor units)\n", "")
    code, _, err = await refund("--amount", "1")
    assert code == 1
    assert err.startswith("forno orders refund: ")


async def test_money_that_was_not_captured_cannot_be_given_back(world: OrdersWorld) -> None:
    """A failed precondition that names the state."""
    placed = await world.place(token="pm_ok")
    await world.until_status(placed.order_id, "ACCEPTED")
    request = payments_pb.RefundRequest(order_id=placed.order_id, idempotency_key="much-too-early")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await world.payments.Refund(request)
    fault = fault_of(error.value)
    assert (fault.code, fault.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_CAPTURED")


@pytest.mark.parametrize(
    ("secret", "age_s", "event_id", "status", "said"),
    [
        (WEBHOOK_SECRET, 0, "evt_new", 200, "heard"),
        (WEBHOOK_SECRET, 200, "evt_new", 200, "repeated"),
        (WEBHOOK_SECRET, 301, "evt_old", 400, "refused"),
        ("whsec_wrong", 0, "evt_forged", 400, "refused"),
    ],
)
async def test_webhooks_are_believed_by_their_signature_and_once(
    world: OrdersWorld, secret: str, age_s: int, event_id: str, status: int, said: str
) -> None:
    """A recording that is too old, a forged one and one that comes again change nothing."""
    order_id = order_id_at(1_795_000_000_000, 7, 1)
    told = {"metadata": {"order_id": order_id}}
    body = orjson.dumps({"id": event_id, "type": "payment_intent.succeeded", "data": {"object": told}})
    header = {"Stripe-Signature": signature(secret, body, int(time.time()) - age_s)}
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"http://{WEBHOOKS}{PATH}", content=body, headers=header)
        assert (answer.status_code, answer.text) == (status, said)
        assert (await http.post(f"http://{WEBHOOKS}{PATH}", content=body)).status_code == 400
