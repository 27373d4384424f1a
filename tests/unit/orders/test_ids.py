"""Order ids and the range map."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.errors import Invalid
from orders.ids import MAX_MS, OrderIds, checked_order_id, created_ms, order_id_at, point_of_order, point_of_user
from orders.model import OrderId, UserId
from orders.ordering.adapters.postgres.rows import created_at
from orders.ranges import RangeMap

HALVES = RangeMap.parse("0-32767=west,32768-65535=east")


@given(st.integers(0, MAX_MS), st.integers(0, 2**16 - 1), st.integers(0, 2**58 - 1))
def test_an_id_is_a_uuid7_that_gives_back_its_time_and_point(wall_ms: int, point: int, random: int) -> None:
    """Time and shard point are read back exactly, and the standard library agrees on the version."""
    order_id = order_id_at(wall_ms, point, random)
    assert (created_ms(order_id), point_of_order(order_id)) == (wall_ms, point)
    parsed = uuid.UUID(order_id)
    assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, order_id)
    assert checked_order_id(order_id.upper()) == order_id
    assert created_at(order_id).timestamp() * 1000 == pytest.approx(wall_ms)


@given(st.integers(MAX_MS + 1, 2**48 - 1), st.integers(0, 2**16 - 1))
@example(MAX_MS + 1, 0)
def test_an_id_past_the_year_9999_is_refused(wall_ms: int, point: int) -> None:
    """No partition and no date could hold it; the well-formed UUID came from somebody else."""
    with pytest.raises(Invalid, match="not an order id"):
        checked_order_id(order_id_at(wall_ms, point, 0))


@given(st.text(min_size=1, max_size=20))
def test_an_order_lives_where_its_user_lives(user: str) -> None:
    """The database found by the order's id is the one found by its user."""
    order_id = OrderIds(lambda: 1_795_000_000_000).new(UserId(user))
    assert HALVES.of_order(order_id) == HALVES.of_user(UserId(user))


def test_ids_do_not_go_back_when_the_clock_does() -> None:
    """A clock that is set back one hour makes no id that sorts before an older one of the same user, and none twice."""
    now_ms = [1_795_000_000_000]
    ids = OrderIds(lambda: now_ms[0])
    before = ids.new(UserId("ana"))
    now_ms[0] -= 3_600_000
    after = [ids.new(UserId("ana")) for _ in range(1000)]
    assert all(created_ms(order_id) == created_ms(before) for order_id in after)
    assert len(set(after)) == 1000


def test_users_are_spread_evenly() -> None:
    """Users with ids in a row fill both halves alike."""
    west = sum(HALVES.of_user(UserId(f"customer-{n}")) == "west" for n in range(10_000))
    assert 4_800 < west < 5_200


def test_a_point_never_changes() -> None:
    """These are in use: another result would lose orders."""
    assert [point_of_user(UserId(user)) for user in ("ana", "user-1", "")] == [9915, 44437, 45566]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0-65535", "is not FIRST-LAST=DATABASE"),
        ("0-9=a,11-65535=b", "the next point to cover is 10"),
        ("0-9=a,9-65535=b", "the next point to cover is 10"),
        ("0-65534=a", "65535-65535 belong to no database"),
        ("0-9=a,10-65535=a", "one range only"),
        ("x-9=a", "is not FIRST-LAST=DATABASE"),
    ],
)
def test_a_map_that_does_not_cover_each_point_once_is_refused(text: str, why: str) -> None:
    """Gaps, overlaps, repeated databases and rubbish are found at start."""
    with pytest.raises(ValueError, match=why):
        RangeMap.parse(text)


@pytest.mark.parametrize("text", ["", "x", str(uuid.uuid4()), "018f6d3e-7c2a-7b41-9f2e-0c774d1b5a3", "' or 1=1 --"])
def test_what_is_no_order_id_is_refused(text: str) -> None:
    """A UUID of another version is not one of ours."""
    with pytest.raises(Invalid) as error:
        checked_order_id(text)
    assert error.value.field == "order_id"


def test_ranges_are_looked_up_at_their_edges() -> None:
    """First and last point of each range belong to it."""
    ids = [order_id_at(1, point, 0) for point in (0, 32767, 32768, 65535)]
    assert [HALVES.of_order(OrderId(order_id)) for order_id in ids] == ["west", "west", "east", "east"]
