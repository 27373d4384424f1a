"""What to do next with a payment, and what an answer makes of it. Pure.

    PENDING ── authorise ──> AUTHORISED ── capture ──> CAPTURED ── refund ──> REFUNDED
       │                         └──────── void ─────> VOIDED
       └── refused ──> DECLINED

The way is decided by the pair of status and goal, so instructions may arrive at any moment, even during a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orders.payments.model import Action, Answer, Goal, Payment, PaymentStatus

NEXT: Mapping[tuple[PaymentStatus, Goal], Action] = {
    (PaymentStatus.PENDING, Goal.AUTHORISED): Action.AUTHORISE,
    # Not known what came of the call: ask again (the same answer comes), then void.
    (PaymentStatus.PENDING, Goal.CANCELLED): Action.AUTHORISE,
    (PaymentStatus.AUTHORISED, Goal.CAPTURED): Action.CAPTURE,
    (PaymentStatus.AUTHORISED, Goal.CANCELLED): Action.VOID,
    (PaymentStatus.CAPTURED, Goal.CANCELLED): Action.REFUND,
}

#: From which status an action leads to which.
EFFECT: Mapping[Action, tuple[PaymentStatus, PaymentStatus]] = {
    Action.AUTHORISE: (PaymentStatus.PENDING, PaymentStatus.AUTHORISED),
    Action.CAPTURE: (PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED),
    Action.VOID: (PaymentStatus.AUTHORISED, PaymentStatus.VOIDED),
    Action.REFUND: (PaymentStatus.CAPTURED, PaymentStatus.REFUNDED),
}


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment after an answer; `action` moved money (and is to be posted) unless it was refused."""

    payment: Payment
    action: Action
    approved: bool
    reason: str = ""


def next_action(payment: Payment) -> Action | None:
    """What is to be done now; None when the payment is where it should be."""
    return NEXT.get((payment.status, payment.goal))


def settled(payment: Payment, action: Action, answer: Answer) -> Settled | None:
    """What the answer makes of the payment; None when it comes again or changes nothing (a refused capture or void
    has to be tried again: the money is still where it was)."""
    before, after = EFFECT[action]
    if payment.status is not before:
        return None
    if not answer.approved:
        if action is not Action.AUTHORISE:
            return None
        after = PaymentStatus.DECLINED
    changed = replace(
        payment,
        status=after,
        provider_ref=answer.provider_ref or payment.provider_ref,
        version=payment.version + 1,
        attempts=0,
    )
    return Settled(changed, action, answer.approved, answer.reason)


def voided_untried(payment: Payment) -> Payment | None:
    """The payment cancelled before the provider was ever asked: it is void without a call."""
    if payment.status is PaymentStatus.PENDING and payment.goal is Goal.CANCELLED and payment.attempts == 0:
        return replace(payment, status=PaymentStatus.VOIDED, version=payment.version + 1)
    return None
