"""Payments: what is done next, what an answer makes of it, what the ledger says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.payments.instructions import Instruction, Wish, obey
from orders.payments.ledger import Account, Posting, posting_of
from orders.payments.model import Action, Answer, Goal, Money, Payment, PaymentStatus
from orders.payments.transitions import next_action, settled
from tests.unit.orders.worlds import order_id

AMOUNT = Money(11_000, "CLP")
FRESH = Payment(order_id(), AMOUNT, "tok_ok")
DONE = Answer(True, "ref-1")


def instruction(version: int, wish: Wish) -> Instruction:
    """An instruction about the one order."""
    return Instruction(order_id(), version, wish, b"", AMOUNT, "tok_ok")


def balance(postings: Sequence[Posting], account: Account) -> int:
    """What an account holds."""
    return sum(p.amount.minor * ((p.debit is account) - (p.credit is account)) for p in postings)


def settle_all(payment: Payment) -> tuple[Payment, list[Posting]]:
    """Has the provider do everything that is to be done."""
    postings = []
    while (action := next_action(payment)) is not None:
        done = settled(payment, action, DONE)
        assert done is not None
        payment = done.payment
        posting = posting_of(done)
        postings += [posting] if posting else []
    return payment, postings


@pytest.mark.parametrize(
    ("wishes", "status", "customer", "revenue"),
    [
        ((), PaymentStatus.AUTHORISED, 11_000, 0),
        ((Wish.NOTHING, Wish.CAPTURE, Wish.NOTHING), PaymentStatus.CAPTURED, 11_000, -11_000),
        ((Wish.CANCEL,), PaymentStatus.VOIDED, 0, 0),
        ((Wish.NOTHING, Wish.CANCEL), PaymentStatus.VOIDED, 0, 0),
    ],
)
def test_the_way_of_the_money(wishes: tuple[Wish, ...], status: PaymentStatus, customer: int, revenue: int) -> None:
    """Authorised, then captured or voided; the accounts say who holds it."""
    payment, postings = settle_all(FRESH)
    obeyed = obey(payment, 1, [instruction(n, wish) for n, wish in enumerate(wishes, 2)])
    assert obeyed.payment is not None
    payment, more = settle_all(obeyed.payment)
    assert payment.status is status
    everything = postings + more
    assert balance(everything, Account.CUSTOMER) == customer
    assert balance(everything, Account.REVENUE) == revenue
    assert sum(balance(everything, account) for account in Account) == 0


def test_captured_money_is_refunded_when_the_order_is_cancelled() -> None:
    """Not reached by the order's state table today; the money comes back all the same."""
    payment, postings = settle_all(Payment(order_id(), AMOUNT, "t", PaymentStatus.CAPTURED, Goal.CANCELLED, "r", 2))
    assert payment.status is PaymentStatus.REFUNDED
    assert [(p.debit, p.credit) for p in postings] == [(Account.REVENUE, Account.CUSTOMER)]


def test_an_order_cancelled_before_the_provider_was_asked_is_void_without_a_call() -> None:
    """Placed and cancelled in one batch: told as void, nothing posted."""
    obeyed = obey(None, 0, [instruction(1, Wish.AUTHORISE), instruction(2, Wish.CANCEL)])
    assert obeyed.payment is not None
    assert (obeyed.payment.status, obeyed.told, obeyed.payment.version) == (PaymentStatus.VOIDED, True, 1)
    assert next_action(obeyed.payment) is None


def test_a_cancel_during_the_call_waits_for_its_answer() -> None:
    """The provider may have held the money: it is asked once more, then the hold is given up."""
    tried = Payment(order_id(), AMOUNT, "tok_ok", attempts=1)
    obeyed = obey(tried, 1, [instruction(2, Wish.CANCEL)])
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
    assert posting_of(declined) is None
    assert next_action(declined.payment) is None


def test_a_refused_capture_leaves_the_payment_as_it_is() -> None:
    """It has to be tried again: giving up would mean a delivered order uncaptured."""
    authorised = Payment(order_id(), AMOUNT, "t", PaymentStatus.AUTHORISED, Goal.CAPTURED, "r", 1)
    assert settled(authorised, Action.CAPTURE, Answer(False, reason="try_later")) is None


@given(
    st.lists(st.sampled_from([*Action, Wish.CAPTURE, Wish.CANCEL]), max_size=20),
    st.booleans(),
)
def test_late_and_repeated_answers_never_move_money_twice(happens: list[Action | Wish], approve: bool) -> None:
    """Whatever answers come in whatever order, each action is posted once at most, the customer pays once at most."""
    payment, seen, postings = FRESH, 1, list[Posting]()
    for what in happens:
        if isinstance(what, Wish):
            obeyed = obey(payment, seen, [instruction(seen + 1, what)])
            assert obeyed.payment is not None
            payment, seen = obeyed.payment, obeyed.seen
        elif (done := settled(payment, what, Answer(approve or what is not Action.AUTHORISE, "r"))) is not None:
            assert done.payment.version == payment.version + 1
            payment = done.payment
            posting = posting_of(done)
            postings += [posting] if posting else []
    assert len({posting.key for posting in postings}) == len(postings)
    assert balance(postings, Account.CUSTOMER) in (0, 11_000)
    assert sum(balance(postings, account) for account in Account) == 0
