"""The restaurant's screen: what it is told, how it resumes, what it may say."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Forbidden
from gateway.live.kitchen import commands
from gateway.live.kitchen.model import Board, Command, Kitchen, Ticket
from gateway.live.kitchen.session import kitchen_of
from gateway.live.kitchen.watch import MAX_CHANGES, KitchenWatch
from node.errors import Invalid
from node.tokens import Subject

FORNO = Kitchen("la-serena", "r-1")
ABOUT = {"auto_accept": False, "more": False}


def board(**versions: int) -> Board:
    """A board with tickets of these versions."""
    tickets = (Ticket(name, version, {"order_id": name, "version": version}) for name, version in versions.items())
    return Board(tuple(tickets), ABOUT)


def told(frame: bytes | None) -> dict[str, Any]:
    """The JSON in a frame, after its header of two or four bytes."""
    assert frame is not None
    body: dict[str, Any] = json.loads(frame[2 if frame[1] < 126 else 4 :])
    return body


def watch(*boards: Board) -> KitchenWatch:
    """A watch that has seen these boards."""
    seen = KitchenWatch(FORNO, 7, {"speed": 1.0})
    for one in boards:
        seen.on_board(one)
    return seen


def test_only_what_changed_is_told() -> None:
    """A new ticket, a changed one, one that left; the same board again tells nothing."""
    seen = watch(board(a=1, b=1))
    assert seen.on_board(board(a=1, b=1)) is None
    news = told(seen.on_board(board(b=2, c=1)))
    assert ([ticket["order_id"] for ticket in news["changed"]], news["gone"]) == (["b", "c"], ["a"])
    assert (news["epoch"], news["seq"]) == (7, 2)


def test_a_board_of_before_takes_nothing_back() -> None:
    """A ticket that is older than the one known is no news."""
    seen = watch(board(a=5))
    assert seen.on_board(board(a=4)) is None
    assert told(seen.snapshot())["tickets"] == [{"order_id": "a", "version": 5}]


@settings(deadline=None)
@given(steps=st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5)), max_size=12), cut=st.integers(0, 12))
def test_a_screen_that_resumes_shows_what_one_that_stayed_shows(steps: list[dict[str, int]], cut: int) -> None:
    """Snapshot at any moment, then the missed changes, give the newest snapshot."""
    seen, versions = watch(board()), dict[str, int]()
    at = (seen.epoch, seen.seq, told(seen.snapshot())["tickets"])
    for number, step in enumerate(steps):
        versions = {name: max(version, versions.get(name, 0)) for name, version in step.items()}
        seen.on_board(board(**versions))
        if number < cut:
            at = (seen.epoch, seen.seq, told(seen.snapshot())["tickets"])
    shown = {ticket["order_id"]: ticket for ticket in at[2]}
    missed = seen.resumed(at[0], at[1])
    assert missed is not None
    for frame in missed[:-1]:
        news = told(frame)
        shown |= {ticket["order_id"]: ticket for ticket in news["changed"]}
        shown = {name: ticket for name, ticket in shown.items() if name not in news["gone"]}
    assert shown == {ticket["order_id"]: ticket for ticket in told(seen.snapshot())["tickets"]}


def test_who_was_away_for_too_long_gets_a_snapshot() -> None:
    """Another life of the watch, a number of the future, or changes that are not kept any more."""
    seen = watch(*(board(a=version) for version in range(1, MAX_CHANGES + 3)))
    assert seen.resumed(6, seen.seq) is None
    assert seen.resumed(7, seen.seq + 1) is None
    assert seen.resumed(7, 1) is None
    assert seen.resumed(7, 0) is None
    kept = seen.resumed(7, 3)
    assert kept is not None
    assert len(kept) == seen.seq - 3 + 1


NONSENSE = [
    ("no JSON", "{", "message"),
    ("no object", "[1]", "message"),
    ("no type", '{"id": "1"}', "type"),
    ("another type", '{"type": "burn"}', "type"),
    ("a number for an order", '{"type": "ready", "order_id": 7}', "order_id"),
    ("true for seconds", '{"type": "accept", "seconds": true}', "seconds"),
    ("seconds without end", '{"type": "accept", "seconds": 99999999999}', "seconds"),
]


@pytest.mark.parametrize(("message", "field"), [row[1:] for row in NONSENSE], ids=[row[0] for row in NONSENSE])
def test_nonsense_is_refused_by_name(message: str, field: str) -> None:
    """The field at fault is named."""
    with pytest.raises(Invalid) as refusal:
        commands.parse(message)
    assert refusal.value.field == field


@settings(deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=40))
def test_no_message_breaks_the_parser(message: str | bytes) -> None:
    """Whatever comes, it is a command or `Invalid`; its id can always be asked for."""
    commands.id_of(message)
    with suppress(Invalid):
        commands.parse(message)


def test_a_command_is_read() -> None:
    """Kind, order and seconds."""
    message = '{"id": "7", "type": "ready_in", "order_id": "o", "seconds": 300}'
    assert commands.parse(message) == ("7", Command("ready_in", "o", 300))


@pytest.mark.parametrize(
    "who",
    [
        Subject("restaurant", "r-2", {"city": "la-serena"}),
        Subject("restaurant", "r-1", {}),
        Subject("user", "r-1", {"city": "la-serena"}),
    ],
    ids=["another restaurant", "no city", "a customer"],
)
def test_a_token_opens_its_own_kitchen_only(who: Subject) -> None:
    """Nobody else's screen."""
    with pytest.raises(Forbidden):
        kitchen_of(who, "r-1")
    assert kitchen_of(Subject("restaurant", "r-1", {"city": "la-serena"}), "r-1") == FORNO
