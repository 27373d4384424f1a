"""The double-entry ledger. A posting moves one amount from one account to another, so the sum over all accounts is zero
by construction; there is one posting for each action of an order at most.

    customer    what customers owe us (holds included) or have paid
    authorised  holds that were neither captured nor given up
    revenue     what was captured and not given back
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orders.model import OrderId
from orders.payments.model import Action, Money, key_of
from orders.payments.transitions import Settled


class Account(StrEnum):
    """The accounts."""

    CUSTOMER = "customer"
    AUTHORISED = "authorised"
    REVENUE = "revenue"


#: (debit, credit) by action.
RULES: Mapping[Action, tuple[Account, Account]] = {
    Action.AUTHORISE: (Account.CUSTOMER, Account.AUTHORISED),
    Action.VOID: (Account.AUTHORISED, Account.CUSTOMER),
    Action.CAPTURE: (Account.AUTHORISED, Account.REVENUE),
    Action.REFUND: (Account.REVENUE, Account.CUSTOMER),
}


@dataclass(frozen=True, slots=True)
class Posting:
    """`amount` is added to `debit` and taken from `credit`. The key is that of the action."""

    key: str
    order_id: OrderId
    debit: Account
    credit: Account
    amount: Money


def posting_of(settled: Settled) -> Posting | None:
    """What a settled action posts; None where no money moved."""
    if not settled.approved:
        return None
    payment = settled.payment
    debit, credit = RULES[settled.action]
    return Posting(key_of(payment.order_id, settled.action), payment.order_id, debit, credit, payment.amount)
