"""Statuses of orders as words. Of a status that only a newer release knows, clients are told the one before."""

from __future__ import annotations

from proto.orders.v1 import orders_pb2 as pb

_WORDS = {number: name.removeprefix("ORDER_STATUS_").lower() for name, number in pb.OrderStatus.items() if number}


def status_word(status: pb.OrderStatus.ValueType) -> str | None:
    """`ORDER_STATUS_PICKED_UP` -> `picked_up`; None for a status that this release does not know."""
    return _WORDS.get(status)


def order_status(order: pb.Order) -> str:
    """The status of an order; where it is not known, the last one of its history that is."""
    passed = (status_word(change.status) for change in reversed(order.history))
    return status_word(order.status) or next(filter(None, passed), "placed")
