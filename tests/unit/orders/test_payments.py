"""Payments: what is done next, what an answer makes of it, what the ledger says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Conflict, FornoError
from orders.model import ActionRequired
from orders.money import Parts
from orders.payments.instructions import Instruction, InstructionKind, apply_instructions
from orders.payments.ledger import Account, Posting, posting_of
from orders.payments.model import Action, Answer, Goal, Money, Payment, PaymentStatus, Refund
from orders.payments.refunds import asked_before, new_refund
from orders.payments.transitions import next_action, settled
from tests.unit.orders.worlds import order_id

AMOUNT = Money(11_000, "CLP")
PARTS = Parts(food_minor=7_500, delivery_minor=1_500, tip_minor=500, tax_minor=1_500)
FRESH = Payment(order_id(), AMOUNT, "tok_ok", PARTS)
DONE = Answer(True, "ref-1")


def instruction(version: int, kind: InstructionKind) -> Instruction:
    """An instruction about the one order."""
    return Instruction(order_id(), version, kind, b"", AMOUNT, "tok_ok", PARTS)


def balance(postings: Sequence[Posting], account: Account) -> int:
    """What an account holds."""
    return sum(posting.legs.get(account, 0) for posting in postings)


def settle_all(payment: Payment, before: Sequence[Posting] = ()) -> tuple[Payment, list[Posting]]:
    """Has the provider do everything that is to be done."""
    postings: list[Posting] = []
    while (action := next_action(payment)) is not None:
        done = settled(payment, action, DONE)
        assert done is not None
        payment = done.payment
        posting = posting_of(done, balances([*before, *postings]))
        postings += [posting] if posting else []
    return payment, postings


def balances(postings: Sequence[Posting]) -> dict[Account, int]:
    """What all accounts hold."""
    return {account: balance(postings, account) for account in Account}


@pytest.mark.parametrize(
    ("kinds", "status", "customer", "food"),
    [
        ((), PaymentStatus.AUTHORISED, 11_000, 0),
        (
            (InstructionKind.NOTHING, InstructionKind.CAPTURE, InstructionKind.NOTHING),
            PaymentStatus.CAPTURED,
            11_000,
            -7_500,
        ),
        ((InstructionKind.CANCEL,), PaymentStatus.VOIDED, 0, 0),
        ((InstructionKind.NOTHING, InstructionKind.CANCEL), PaymentStatus.VOIDED, 0, 0),
    ],
)
def test_the_way_of_the_money(
    kinds: tuple[InstructionKind, ...], status: PaymentStatus, customer: int, food: int
) -> None:
    """Authorised, then captured or voided; the accounts say who holds it."""
    payment, postings = settle_all(FRESH)
    obeyed = apply_instructions(payment, 1, [instruction(n, kind) for n, kind in enumerate(kinds, 2)])
    assert obeyed.payment is not None
    payment, more = settle_all(obeyed.payment, postings)
    assert payment.status is status
    everything = postings + more
    assert balance(everything, Account.CUSTOMER) == customer
    assert balance(everything, Account.FOOD) == food
    assert sum(balance(everything, account) for account in Account) == 0


def test_captured_money_is_refunded_when_the_order_is_cancelled() -> None:
    """Not reached by the order's state table today; the money comes back all the same."""
    payment, postings = settle_all(replace(FRESH, goal=Goal.CAPTURED, attempts=1, status=PaymentStatus.AUTHORISED))
    payment, more = settle_all(replace(payment, goal=Goal.CANCELLED), postings)
    assert payment.status is PaymentStatus.REFUNDED
    assert more[0].legs == {
        Account.FOOD: 7_500,
        Account.DELIVERY: 1_500,
        Account.TIPS: 500,
        Account.TAX: 1_500,
        Account.CUSTOMER: -11_000,
    }


def test_an_order_cancelled_before_the_provider_was_asked_is_void_without_a_call() -> None:
    """Placed and cancelled in one batch: told as void, nothing posted."""
    obeyed = apply_instructions(
        None, 0, [instruction(1, InstructionKind.AUTHORISE), instruction(2, InstructionKind.CANCEL)]
    )
    assert obeyed.payment is not None
    assert (obeyed.payment.status, obeyed.told, obeyed.payment.version) == (PaymentStatus.VOIDED, True, 1)
    assert next_action(obeyed.payment) is None


def test_a_cancel_during_the_call_waits_for_its_answer() -> None:
    """The provider may have held the money: it is asked once more, then the hold is given up."""
    tried = replace(FRESH, attempts=1)
    obeyed = apply_instructions(tried, 1, [instruction(2, InstructionKind.CANCEL)])
    assert obeyed.payment is not None
    assert next_action(obeyed.payment) is Action.AUTHORISE
    payment, postings = settle_all(obeyed.payment)
    assert payment.status is PaymentStatus.VOIDED
    assert balance(postings, Account.CUSTOMER) == 0


def test_a_decline_is_final_and_posts_nothing() -> None:
    """No money moved; the reason is the provider's word."""
    declined = settled(FRESH, Action.AUTHORISE, Answer(False, reason="insufficient_funds"))
    assert declined is not None
    assert (declined.payment.status, declined.reason) == (PaymentStatus.DECLINED, "insufficient_funds")
    assert posting_of(declined, {}) is None
    assert next_action(declined.payment) is None


def test_a_refused_capture_leaves_the_payment_as_it_is() -> None:
    """It has to be tried again: giving up would mean a delivered order uncaptured."""
    authorised = replace(FRESH, status=PaymentStatus.AUTHORISED, goal=Goal.CAPTURED, provider_ref="r", version=1)
    assert settled(authorised, Action.CAPTURE, Answer(False, reason="try_later")) is None


@given(
    st.lists(st.sampled_from([*Action, InstructionKind.CAPTURE, InstructionKind.CANCEL]), max_size=20),
    st.booleans(),
)
def test_late_and_repeated_answers_never_move_money_twice(
    happens: list[Action | InstructionKind], approve: bool
) -> None:
    """Whatever answers come in whatever order, each action is posted once at most, the customer pays once at most."""
    payment, seen, postings = FRESH, 1, list[Posting]()
    for what in happens:
        if isinstance(what, InstructionKind):
            obeyed = apply_instructions(payment, seen, [instruction(seen + 1, what)])
            assert obeyed.payment is not None
            payment, seen = obeyed.payment, obeyed.seen
        elif (done := settled(payment, what, Answer(approve or what is not Action.AUTHORISE, "r"))) is not None:
            assert done.payment.version == payment.version + 1
            payment = done.payment
            posting = posting_of(done, balances(postings))
            postings += [posting] if posting else []
    assert len({posting.key for posting in postings}) == len(postings)
    assert balance(postings, Account.CUSTOMER) in (0, 11_000)
    assert sum(balance(postings, account) for account in Account) == 0


SECRET = ActionRequired("use_stripe_sdk", "pi_1_secret_x")


def test_a_customer_who_has_to_authenticate_is_waited_for() -> None:
    """Nothing is posted until the money is held; then the way goes on as usual."""
    waiting = settled(FRESH, Action.AUTHORISE, Answer(False, "pi_1", action=SECRET))
    assert waiting is not None
    assert (waiting.payment.status, waiting.required) == (PaymentStatus.ACTION_REQUIRED, SECRET)
    assert posting_of(waiting, {}) is None
    assert next_action(waiting.payment) is Action.CHECK
    assert settled(waiting.payment, Action.CHECK, Answer(False, "pi_1", action=SECRET)) is None
    held = settled(waiting.payment, Action.CHECK, Answer(True, "pi_1"))
    assert held is not None
    posting = posting_of(held, {})
    assert posting is not None
    assert posting.key == f"{order_id()}:authorise"
    assert settled(held.payment, Action.AUTHORISE, Answer(False, "pi_1", action=SECRET)) is None


def test_a_customer_who_fails_or_gives_up_is_not_charged() -> None:
    """A failed authentication declines; a cancelled order gives up what waits, and nothing was posted."""
    waiting = replace(FRESH, status=PaymentStatus.ACTION_REQUIRED, provider_ref="pi_1", version=1)
    failed = settled(waiting, Action.CHECK, Answer(False, "pi_1", "authentication_failed"))
    assert failed is not None
    assert (failed.payment.status, failed.reason) == (PaymentStatus.DECLINED, "authentication_failed")
    cancelled = replace(waiting, goal=Goal.CANCELLED)
    assert next_action(cancelled) is Action.VOID
    payment, postings = settle_all(cancelled)
    assert (payment.status, postings) == (PaymentStatus.VOIDED, [])


CAPTURED = replace(FRESH, status=PaymentStatus.CAPTURED, goal=Goal.CAPTURED, provider_ref="r", version=2)


@pytest.mark.parametrize(
    ("payment", "refunds", "amount", "reason"),
    [
        (replace(CAPTURED, status=PaymentStatus.AUTHORISED), [], None, "NOT_CAPTURED"),
        (CAPTURED, [], Money(11_001, "CLP"), "REFUND_TOO_LARGE"),
        (CAPTURED, [Refund("k1", 6_000, "")], Money(5_001, "CLP"), "REFUND_TOO_LARGE"),
        (replace(CAPTURED, refunded_minor=11_000, status=PaymentStatus.REFUNDED), [], None, "REFUND_TOO_LARGE"),
        (CAPTURED, [], Money(100, "EUR"), "CURRENCY_MISMATCH"),
    ],
)
def test_more_than_was_captured_is_never_given_back(
    payment: Payment, refunds: list[Refund], amount: Money | None, reason: str
) -> None:
    """What waits for the provider counts as given back."""
    with pytest.raises(FornoError) as error:
        new_refund(refunds, payment, "key-00000001", amount, "cold pizza")
    assert error.value.reason == reason


def test_a_refund_key_stands_for_one_amount() -> None:
    """The same key and amount (or none) is the same refund, another amount a conflict."""
    known = [Refund("key-00000001", 500, "cold")]
    assert asked_before(known, CAPTURED, "key-00000001", Money(500, "CLP")) == known[0]
    assert asked_before(known, CAPTURED, "key-00000001", None) == known[0]
    assert asked_before(known, CAPTURED, "key-00000002", None) is None
    with pytest.raises(Conflict):
        asked_before(known, CAPTURED, "key-00000001", Money(501, "CLP"))


@given(st.data(), st.tuples(*[st.integers(0, 10**9)] * 4).filter(any))
def test_refunds_in_any_parts_end_with_nothing_left(data: st.DataObject, parts: tuple[int, int, int, int]) -> None:
    """Every posting adds up to zero, no income goes below nothing, after the last refund all accounts are zero."""
    payment = replace(CAPTURED, parts=Parts(*parts), amount=Money(sum(parts), "CLP"), refunded_minor=0)
    capture = settled(replace(payment, status=PaymentStatus.AUTHORISED), Action.CAPTURE, DONE)
    hold = settled(replace(payment, status=PaymentStatus.PENDING), Action.AUTHORISE, DONE)
    assert capture is not None
    assert hold is not None
    postings = [posting for one in (hold, capture) if (posting := posting_of(one, {})) is not None]
    number = 0
    while payment.status is PaymentStatus.CAPTURED:
        number += 1
        minor = payment.left_minor if number > 5 else data.draw(st.integers(1, payment.left_minor))
        done = settled(replace(payment, refund=Refund(f"refund-{number}", minor, "")), Action.REFUND, DONE)
        assert done is not None
        posting = posting_of(done, balances(postings))
        assert posting is not None
        assert sum(posting.legs.values()) == 0
        postings.append(posting)
        payment = done.payment
        assert all(minor <= 0 for account, minor in balances(postings).items() if account is not Account.CUSTOMER)
        assert balance(postings, Account.CUSTOMER) == payment.left_minor
    assert payment.status is PaymentStatus.REFUNDED
    assert set(balances(postings).values()) == {0}


def test_a_refund_that_the_provider_refuses_changes_no_account() -> None:
    """Asked for by somebody, it is refused for good; of a cancelled order it is tried again."""
    asked = replace(CAPTURED, refund=Refund("key-00000001", 500, ""))
    refused = settled(asked, Action.REFUND, Answer(False, reason="charge_disputed"))
    assert refused is not None
    assert (refused.payment.version, refused.payment.refunded_minor) == (CAPTURED.version, 0)
    assert posting_of(refused, {}) is None
    assert settled(replace(CAPTURED, goal=Goal.CANCELLED), Action.REFUND, Answer(False)) is None
