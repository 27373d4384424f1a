"""Decide what to do next with a payment, and apply the answers of the provider. Pure.

    PENDING ── authorise ──> AUTHORISED ── capture ──> CAPTURED ── refund (some) ──> CAPTURED ... ──> REFUNDED (all)
     │   └──> ACTION_REQUIRED ──┘  │
     │             │    └──────────┴── void ──> VOIDED
     └── refused ──┴──> DECLINED

The way is decided by the pair of status and goal, so instructions may arrive at any moment, even during a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orders.model import ActionRequired
from orders.payments.model import Action, Answer, Goal, Payment, PaymentStatus, Refund

NEXT: Mapping[tuple[PaymentStatus, Goal], Action] = {
    (PaymentStatus.PENDING, Goal.AUTHORISED): Action.AUTHORISE,
    # Not known what came of the call: ask again (the same answer comes), then void.
    (PaymentStatus.PENDING, Goal.CANCELLED): Action.AUTHORISE,
    (PaymentStatus.ACTION_REQUIRED, Goal.AUTHORISED): Action.CHECK,
    (PaymentStatus.ACTION_REQUIRED, Goal.CANCELLED): Action.VOID,
    (PaymentStatus.AUTHORISED, Goal.CAPTURED): Action.CAPTURE,
    (PaymentStatus.AUTHORISED, Goal.CANCELLED): Action.VOID,
    (PaymentStatus.CAPTURED, Goal.CANCELLED): Action.REFUND,
}

#: In which statuses the answer to an action still matters.
MATTERS: Mapping[Action, frozenset[PaymentStatus]] = {
    Action.AUTHORISE: frozenset({PaymentStatus.PENDING, PaymentStatus.ACTION_REQUIRED}),
    Action.CHECK: frozenset({PaymentStatus.ACTION_REQUIRED}),
    Action.CAPTURE: frozenset({PaymentStatus.AUTHORISED}),
    Action.VOID: frozenset({PaymentStatus.AUTHORISED, PaymentStatus.ACTION_REQUIRED}),
    Action.REFUND: frozenset({PaymentStatus.CAPTURED}),
}

#: Key of the refund of a cancelled order; callers' keys are longer.
CANCELLED = "all"

_DONE: Mapping[Action, PaymentStatus] = {
    Action.AUTHORISE: PaymentStatus.AUTHORISED,
    Action.CHECK: PaymentStatus.AUTHORISED,
    Action.CAPTURE: PaymentStatus.CAPTURED,
    Action.VOID: PaymentStatus.VOIDED,
}


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment after an answer, and the status it had before. `approved` actions moved money (and are posted)."""

    payment: Payment
    before: PaymentStatus
    action: Action
    approved: bool
    reason: str = ""
    refund: Refund | None = None
    required: ActionRequired | None = None


def next_action(payment: Payment) -> Action | None:
    """Next action of the payment; None when the payment is where it should be."""
    if payment.refund is not None and payment.status is PaymentStatus.CAPTURED:
        return Action.REFUND
    return NEXT.get((payment.status, payment.goal))


def goals_with_action(status: PaymentStatus) -> list[Goal]:
    """Goals that a payment of this status has something to do for."""
    return [goal for of, goal in NEXT if of is status]


def refund_due(payment: Payment) -> Refund:
    """What is to be given back next: what was asked for, else, for a cancelled order, all that is left."""
    return payment.refund or Refund(CANCELLED, payment.left_minor, "cancelled")


def settled(payment: Payment, action: Action, answer: Answer) -> Settled | None:
    """What the answer makes of the payment; None when it comes again or changes nothing (a refused capture or void
    has to be tried again: the money is still where it was)."""
    if payment.status not in MATTERS[action]:
        return None
    if action is Action.REFUND:
        return _refunded(payment, answer)
    if answer.action is not None:
        after = PaymentStatus.ACTION_REQUIRED
    elif answer.approved:
        after = _DONE[action]
    else:
        after = PaymentStatus.DECLINED if action in (Action.AUTHORISE, Action.CHECK) else payment.status
    if after is payment.status:
        return None
    changed = replace(
        payment,
        status=after,
        provider_ref=answer.provider_ref or payment.provider_ref,
        version=payment.version + 1,
        attempts=0,
    )
    return Settled(changed, payment.status, action, answer.approved, answer.reason, required=answer.action)


def _refunded(payment: Payment, answer: Answer) -> Settled | None:
    """A refund that was asked for may be refused for good; a cancelled order is refunded sooner or later."""
    refund = refund_due(payment)
    if not answer.approved:
        if payment.refund is None:
            return None
        changed = replace(payment, attempts=0, refund=None)
        return Settled(changed, payment.status, Action.REFUND, False, answer.reason, refund)
    refunded_minor = payment.refunded_minor + refund.minor
    status = PaymentStatus.REFUNDED if refunded_minor == payment.amount.minor else PaymentStatus.CAPTURED
    changed = replace(
        payment,
        status=status,
        refunded_minor=refunded_minor,
        version=payment.version + 1,
        attempts=0,
        refund=None,
    )
    return Settled(changed, payment.status, Action.REFUND, True, refund=refund)


def voided_untried(payment: Payment) -> Payment | None:
    """The payment cancelled before the provider was ever asked: it is void without a call."""
    if payment.status is PaymentStatus.PENDING and payment.goal is Goal.CANCELLED and payment.attempts == 0:
        return replace(payment, status=PaymentStatus.VOIDED, version=payment.version + 1)
    return None
