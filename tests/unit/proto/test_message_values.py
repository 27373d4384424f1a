"""Walking through messages."""

from __future__ import annotations

from proto.common.v1.types_pb2 import LatLng, Money
from proto.message_values import values_of
from proto.orders.v1 import orders_pb2 as pb


def test_nested_and_repeated_values_are_found_with_their_paths() -> None:
    """In items of items; an empty message has none."""
    items = [pb.Item(sku="a"), pb.Item(sku="b", price=Money(minor=3))]
    basket = pb.Basket(city="la-serena", dropoff=LatLng(lat_e7=5), items=items)
    assert {path: value for _, path, value in values_of(basket)} == {
        "city": "la-serena",
        "dropoff.lat_e7": 5,
        "items[0].sku": "a",
        "items[1].sku": "b",
        "items[1].price.minor": 3,
    }
    assert list(values_of(pb.Basket())) == []
