"""Events about loans of riders: between messages of city.events and values."""

from __future__ import annotations

from dispatch.engine.forwarding import RiderMessage
from dispatch.engine.inputs import Delivered, Input, OfferReplied, PickedUp, RiderArrived, RiderBorrowed
from dispatch.engine.inputs import RiderLent as Lent
from dispatch.engine.inputs import RiderReturned as Returned
from dispatch.engine.model import Loan, LoanState, Rider, RiderId
from dispatch.logs.vehicles import vehicle_number, vehicle_of
from proto.dispatch.v1.city_event_pb2 import (
    CityEvent,
    RiderLent,
    RiderLoan,
    RiderReplied,
    RiderReturned,
    RiderStatusChanged,
)
from proto.dispatch.v1.city_event_pb2 import RiderBorrowed as BorrowedMessage
from proto.tracking.v1 import rider_link_pb2 as link

LOAN_EVENTS = frozenset({"rider_lent", "rider_borrowed", "rider_returned"})


def decode_loan_event(message: CityEvent) -> Input:
    """The input of an event of one of `LOAN_EVENTS`."""
    if message.WhichOneof("kind") == "rider_lent":
        loan = loan_value(message.rider_lent.loan, LoanState.LENT)
        return Lent(loan.lent_ms, RiderId(message.rider_lent.loan.rider_id), loan)
    if message.WhichOneof("kind") == "rider_returned":
        back = message.rider_returned
        return Returned(back.free_ms, RiderId(back.rider_id), back.loan_id, back.free_ms)
    borrowed = message.rider_borrowed
    return RiderBorrowed(
        at_ms=borrowed.loan.lent_ms,
        rider_id=RiderId(borrowed.loan.rider_id),
        loan=loan_value(borrowed.loan, LoanState.BORROWED),
        free_ms=borrowed.free_ms,
        shift_end_ms=borrowed.shift_end_ms,
        capacity=borrowed.capacity,
        vehicle=vehicle_of(borrowed.vehicle),
        zone=borrowed.zone,
    )


def lent_event(rider_id: RiderId, loan: Loan, wall_ms: int) -> CityEvent:
    """Event for the home city: a neighbour asks. Its id is the loan's, so that asking twice is asking once."""
    event = CityEvent(event_id=f"{loan.loan_id}:lent", city=loan.home, sent_wall_ms=wall_ms)
    event.rider_lent.CopyFrom(RiderLent(loan=loan_message(rider_id, loan)))
    return event


def borrowed_event(rider: Rider, loan: Loan, wall_ms: int) -> CityEvent:
    """Event for the borrower: the loan of the rider, as the home city lent it, was granted."""
    event = CityEvent(event_id=f"{loan.loan_id}:borrowed", city=loan.borrower, sent_wall_ms=wall_ms)
    event.rider_borrowed.CopyFrom(
        BorrowedMessage(
            loan=loan_message(rider.rider_id, loan),
            free_ms=rider.rested_ms,
            shift_end_ms=rider.shift_end_ms,
            capacity=rider.capacity,
            vehicle=vehicle_number(rider.vehicle),
            zone=rider.zone,
        )
    )
    return event


def returned_event(rider_id: RiderId, loan: Loan, free_ms: int, wall_ms: int) -> CityEvent:
    """Event for the home city: the loan is over."""
    event = CityEvent(event_id=f"{loan.loan_id}:returned", city=loan.home, sent_wall_ms=wall_ms)
    event.rider_returned.CopyFrom(RiderReturned(rider_id=rider_id, loan_id=loan.loan_id, free_ms=free_ms))
    return event


def forwarded_event(event_id: str, item: RiderMessage, borrower: str, wall_ms: int) -> CityEvent:
    """A message of a rider on loan, for the borrower's log, under its own id."""
    event = CityEvent(event_id=event_id, city=borrower, sent_wall_ms=wall_ms)
    if isinstance(item, OfferReplied):
        reply = link.OfferReply(offer_id=item.offer_id, accepted=item.accepted, ts_ms=item.at_ms)
        event.rider_replied.CopyFrom(RiderReplied(rider_id=item.rider_id, reply=reply))
        return event
    status, order_id = link.RIDER_STATUS_OFFLINE, ""
    if isinstance(item, RiderArrived):
        status = link.RIDER_STATUS_ARRIVED
    elif isinstance(item, PickedUp):
        status, order_id = link.RIDER_STATUS_PICKED_UP, item.order_ids[0]
    elif isinstance(item, Delivered):
        status, order_id = link.RIDER_STATUS_DELIVERED, item.order_id
    update = link.StatusUpdate(status=status, order_id=order_id, ts_ms=item.at_ms)
    event.rider_status.CopyFrom(RiderStatusChanged(rider_id=item.rider_id, status=update))
    return event


def loan_message(rider_id: RiderId, loan: Loan) -> RiderLoan:
    """A loan for the wire."""
    return RiderLoan(
        loan_id=loan.loan_id,
        rider_id=rider_id,
        home=loan.home,
        borrower=loan.borrower,
        borrower_partition=loan.borrower_partition,
        borrower_epoch=loan.borrower_epoch,
        lent_ms=loan.lent_ms,
        until_ms=loan.until_ms,
    )


def loan_value(message: RiderLoan, state: LoanState) -> Loan:
    """A loan of the wire, as one of the two cities sees it."""
    return Loan(
        loan_id=message.loan_id,
        home=message.home,
        borrower=message.borrower,
        borrower_partition=message.borrower_partition,
        borrower_epoch=message.borrower_epoch,
        lent_ms=message.lent_ms,
        until_ms=message.until_ms,
        state=state,
    )
