"""The double-entry ledger. A posting moves an amount between accounts: what it adds to some it takes from others, so
the sum over all accounts is always zero. The database refuses a posting that is not balanced. There is one posting for
each action of an order (and for each refund) at most.

    customer    what customers owe us (holds included) or have paid
    authorised  holds that were neither captured nor given up
    food        captured for meals, without tax        delivery    captured for bringing them, without tax
    tips        captured for riders                    tax         captured for the state
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orders.model import OrderId
from orders.money import split
from orders.payments.model import Action, Payment, PaymentStatus, key_of
from orders.payments.transitions import Settled


class Account(StrEnum):
    """The accounts."""

    CUSTOMER = "customer"
    AUTHORISED = "authorised"
    FOOD = "food"
    DELIVERY = "delivery"
    TIPS = "tips"
    TAX = "tax"


#: Where captured money is.
INCOME = (Account.FOOD, Account.DELIVERY, Account.TIPS, Account.TAX)

#: What accounts hold, in minor units.
Balances = Mapping[Account, int]


@dataclass(frozen=True, slots=True)
class Posting:
    """What is added to accounts (or taken, where negative); it adds up to zero. The key is that of the action."""

    key: str
    order_id: OrderId
    currency: str
    legs: Balances


def posting_of(settled: Settled, balances: Balances) -> Posting | None:
    """What a settled action posts; None where no money moved. `balances` are the order's; only refunds need them."""
    if not settled.approved or _nothing_was_held(settled):
        return None
    payment = settled.payment
    legs = {account: minor for account, minor in _legs(settled, balances).items() if minor}
    action = Action.AUTHORISE if settled.action is Action.CHECK else settled.action
    key = key_of(payment.order_id, action, settled.refund)
    return Posting(key, payment.order_id, payment.amount.currency, legs) if legs else None


def _nothing_was_held(settled: Settled) -> bool:
    return settled.action is Action.VOID and settled.before is PaymentStatus.ACTION_REQUIRED


def _legs(settled: Settled, balances: Balances) -> Balances:
    payment, minor = settled.payment, settled.payment.amount.minor
    match settled.action:
        case Action.AUTHORISE | Action.CHECK:
            return {Account.CUSTOMER: minor, Account.AUTHORISED: -minor}
        case Action.VOID:
            return {Account.AUTHORISED: minor, Account.CUSTOMER: -minor}
        case Action.CAPTURE:
            return {Account.AUTHORISED: minor, **{account: -part for account, part in _income(payment).items()}}
        case Action.REFUND:
            assert settled.refund is not None
            return _given_back(settled.refund.minor, balances)


def _income(payment: Payment) -> Balances:
    parts = payment.parts
    return {
        Account.FOOD: parts.food_minor,
        Account.DELIVERY: parts.delivery_minor,
        Account.TIPS: parts.tip_minor,
        Account.TAX: parts.tax_minor,
    }


def _given_back(minor: int, balances: Balances) -> Balances:
    """A refund takes from each income in proportion to what is left of it: the last one leaves nothing of any."""
    left = [-balances.get(account, 0) for account in INCOME]
    return {**dict(zip(INCOME, split(minor, left), strict=True)), Account.CUSTOMER: -minor}
