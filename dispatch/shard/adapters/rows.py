"""Entities as JSON text for storage, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dispatch.engine.codec import from_json, to_json
from dispatch.engine.model import Offer, Order, Rider
from dispatch.engine.tracks import Track


def plain_json(entity: object) -> str:
    """The same text for the same value."""
    return to_json(entity).decode()


def order_of(text: str) -> Order:
    """Raises `InvalidEntity`."""
    return from_json(Order, text)


def rider_of(text: str) -> Rider:
    """Raises `InvalidEntity`."""
    return from_json(Rider, text)


def offer_of(text: str) -> Offer:
    """Raises `InvalidEntity`."""
    return from_json(Offer, text)


def track_of(text: str) -> Track:
    """Raises `InvalidEntity`."""
    return from_json(Track, text)


def explained(record: Mapping[str, Any], where: Mapping[str, Any]) -> str:
    """A decision record with the tick it was made in, as one JSON document."""
    return json.dumps({**record, **where}, separators=(",", ":"), default=str)
