"""What the command prints: in the city's own time, in 80 columns, with nothing cut off."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from orders.model import Status, StatusChange, UserId
from orders.show import WIDTH, StatusTotal, order_text, recent_text, zone_of
from shard_router.cities.catalogue import load_cities
from tests.unit.orders.worlds import NOW_MS, placed

CITIES = {city.slug: city for city in load_cities()}
SANTIAGO = ZoneInfo("America/Santiago")


def test_times_are_those_of_the_city_and_the_zone_is_named() -> None:
    """In November La Serena is three hours behind UTC."""
    order = placed(at_ms=NOW_MS).order
    text = order_text(order, "hot", "orders_0", zone_of(order.basket.city, CITIES))
    here = datetime.fromtimestamp(NOW_MS / 1000, SANTIAGO).isoformat(" ", "seconds")
    assert here.endswith("-03:00")
    assert f"PLACED      {here}" in text.splitlines()
    assert "America/Santiago" in text


def test_a_city_that_is_not_in_the_catalogue_any_more_has_utc() -> None:
    """Archived orders outlive their cities."""
    assert zone_of("atlantis", CITIES) is UTC
    assert recent_text("atlantis", datetime(2026, 11, 30, 9, 5, tzinfo=UTC), UTC, []) == (
        "atlantis since 2026-11-30 09:05 (UTC): no orders"
    )


def test_long_values_go_on_in_the_next_line() -> None:
    """A reason of 200 characters and a user of 40: every word is there, no line is longer than the terminal."""
    reason = " ".join(f"word{number:03}" for number in range(25))
    history = (StatusChange(Status.PLACED, NOW_MS), StatusChange(Status.CANCELLED, NOW_MS, reason))
    order = replace(placed().order, user_id=UserId("u" * 40), history=history)
    text = order_text(order, "archive", "orders_0", UTC)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.split()[-25:] == reason.split()
    assert "u" * 40 in text


def test_recent_orders_fit_whatever_they_add_up_to() -> None:
    """The longest status and sums of a big city."""
    rows = [StatusTotal(status, 123_456_789, 9_999_999_999_999, "CLP") for status in Status]
    text = recent_text("la-serena", datetime(2026, 11, 30, 3, 5, tzinfo=UTC), SANTIAGO, rows)
    lines = text.splitlines()
    assert lines[0] == "la-serena since 2026-11-30 00:05 (America/Santiago)"
    assert max(map(len, lines)) <= WIDTH
    assert [line.split()[0] for line in lines[2:]] == list(Status)
