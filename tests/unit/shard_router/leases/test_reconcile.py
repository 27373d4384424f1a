"""What a shard does about a city: every state of its slot in every situation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shard_router.leases.reconcile import (
    Action,
    Claim,
    Drop,
    FailMove,
    Follow,
    HandOver,
    Member,
    Release,
    Reload,
    TellWarm,
    Unfollow,
    reconcile,
)
from shard_router.leases.slots import Slot, SlotState
from shard_router.leases.timing import BEAT_EVERY_S, FAILURES, PATIENCE_S, RETRY_S, SHADOWS, START_GAP_S, WARM_S
from shard_router.topology import CityEntry, CityMap, Move, MoveState, Ownership, ShardEntry
from tests.unit.shard_router.leases.worlds import CITY, OWN

ME = Member("a", "a:1")
NOW_S = 1000.0


def a_map(entry: CityEntry | None, *, up_s: float = 60.0, draining: bool = False) -> CityMap:
    """Shard a, which is ours, b, which carries nothing, c, which carries a city, and x, which is dead."""
    shards = {
        "a": ShardEntry("a", "a:1", True, 0, draining=draining, up_ms=round(1000 * up_s)),
        "b": ShardEntry("b", "b:1", True, 0, up_ms=60_000),
        "x": ShardEntry("x", "x:1", False, 9_000),
    }
    return CityMap(1, {"roma": entry} if entry is not None else {}, shards)


def moving(owner: str | None, to: str, state: MoveState = MoveState.SHADOWING, number: int = 7) -> CityEntry:
    """The city on its way from an owner to a shard."""
    move = Move(number, "roma", owner, to, 3, "ops", state, 0)
    return replace(CITY, owner=owner, moving_to=to, move=move)


def busy_elsewhere(map_: CityMap, shard: str) -> CityMap:
    """The map, with a city that the shard runs beside."""
    other = replace(CITY, city="oslo", partition=1, owner=shard)
    return replace(map_, cities={**map_.cities, "oslo": other})


SITUATIONS: dict[str, CityMap] = {
    "not on the map": a_map(None),
    "ours": a_map(replace(CITY, owner="a")),
    "ours, we drain": a_map(replace(CITY, owner="a"), draining=True),
    "ours, later epoch": a_map(replace(CITY, owner="a", epoch=4)),
    "b's": a_map(replace(CITY, owner="b")),
    "nobody's, our turn": busy_elsewhere(a_map(CITY), "b"),
    "nobody's, b's turn": busy_elsewhere(a_map(CITY), "a"),
    "nobody's, too early": a_map(CITY, up_s=0.5),
    "x's, our turn": busy_elsewhere(a_map(replace(CITY, owner="x")), "b"),
    "ours, b follows": a_map(moving("a", "b")),
    "ours, b is warm": a_map(moving("a", "b", MoveState.WARM)),
    "ours, x follows": a_map(moving("a", "x")),
    "b's, we follow": a_map(moving("b", "a")),
    "b's, another move to us": a_map(moving("b", "a", number=8)),
    "released to us": a_map(moving(None, "a", MoveState.RELEASED)),
    "x's, we follow": a_map(moving("x", "a")),
    "released to b": a_map(moving(None, "b", MoveState.RELEASED)),
}

SLOTS: dict[str, Callable[[], Slot]] = {
    "idle": lambda: Slot("roma"),
    "idle, refused": lambda: Slot("roma", refused=(7, "no log")),
    "idle, rests": lambda: Slot("roma", until_s=NOW_S + 1),
    "shunned": lambda: Slot("roma", SlotState.SHUNNED, until_s=NOW_S + 1),
    "shunned, over": lambda: Slot("roma", SlotState.SHUNNED, until_s=NOW_S),
    "shadowing": lambda: Slot("roma", SlotState.SHADOWING, NOW_S, 0.0, OWN, 7, busy=True),
    "shadowing, again": lambda: Slot("roma", SlotState.SHADOWING, NOW_S, NOW_S, OWN, 7),
    "shadowing, paused": lambda: Slot("roma", SlotState.SHADOWING, NOW_S, NOW_S + 1, OWN, 7),
    "shadowing, overdue": lambda: Slot("roma", SlotState.SHADOWING, NOW_S - WARM_S, 0.0, OWN, 7, busy=True),
    "warm": lambda: Slot("roma", SlotState.WARM, 0.0, 0.0, OWN, 7),
    "taking": lambda: Slot("roma", SlotState.TAKING, ownership=OWN, busy=True),
    "running": lambda: Slot("roma", SlotState.RUNNING, ownership=OWN, busy=True),
    "reloading": lambda: Slot("roma", SlotState.RELOADING, ownership=OWN, failures=1, busy=True),
    "reloading, paused": lambda: Slot("roma", SlotState.RELOADING, 0.0, NOW_S + 1, OWN, failures=1),
    "reloading, again": lambda: Slot("roma", SlotState.RELOADING, 0.0, NOW_S, OWN, failures=FAILURES),
    "reloading, too often": lambda: Slot("roma", SlotState.RELOADING, 0.0, NOW_S, OWN, failures=FAILURES + 1),
    "handing over": lambda: Slot("roma", SlotState.HANDING_OVER, ownership=OWN, busy=True),
    "dropping": lambda: Slot("roma", SlotState.DROPPING, ownership=OWN, busy=True),
}

LOST = Drop("roma", "another shard took it")
GIVE_UP = Drop("roma", "it failed more than 5 times in a row", release=True, shun=True)
ACTIONS: dict[str, Action | None] = {
    ".": None,
    "lost": LOST,
    "gone": Drop("roma", "it moved", release=True),
    "give-up": GIVE_UP,
    "unfollow": Unfollow("roma"),
    "refuse": Unfollow("roma", refuse="not warm within 120 s"),
    "hand-over": HandOver("roma"),
    "reload": Reload("roma"),
    "follow": Follow(OWN, 7),
    "follow-8": Follow(OWN, 8),
    "x-died": FailMove(7, "x died"),
    "cannot": FailMove(7, "a cannot follow it: no log"),
    "warm": TellWarm("roma", 7),
    "release": Release(OWN),
    "release-4": Release(replace(OWN, epoch=4)),
    "claim": Claim("roma", 0, 3),
    "claim-4": Claim("roma", 0, 4),
}

#: A row a situation, a column a state, in the order of `SLOTS`.
TABLE = """
                        | idle    refused rests   shunned over    | shadow  again   paused  overdue warm    | taking run       reload paused again  too-often handing-over | dropping
not on the map          | .       .       .       .       .       | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
ours                    | claim   claim   release release claim   | unfollow unfollow unfollow unfollow unfollow | . . . . reload give-up . | .
ours, we drain          | release release release release release | unfollow unfollow unfollow unfollow unfollow | . . . . reload give-up . | .
ours, later epoch       | claim-4 claim-4 release-4 release-4 claim-4 | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
b's                     | .       .       .       .       .       | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
nobody's, our turn      | claim   claim   .       .       claim   | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
nobody's, b's turn      | .       .       .       .       .       | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
nobody's, too early      | .       .       .       .       .       | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
x's, our turn           | claim   claim   .       .       claim   | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
ours, b follows         | release release release release release | unfollow unfollow unfollow unfollow unfollow | . . . . reload give-up . | .
ours, b is warm         | release release release release release | unfollow unfollow unfollow unfollow unfollow | . hand-over gone gone gone gone . | .
ours, x follows         | claim   claim   release release claim   | unfollow unfollow unfollow unfollow unfollow | . x-died x-died x-died x-died x-died . | .
b's, we follow          | follow  cannot  follow  follow  follow  | . follow . refuse warm | lost lost lost lost lost lost lost | .
b's, another move to us | follow-8 follow-8 follow-8 follow-8 follow-8 | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
released to us          | claim   claim   claim   claim   claim   | claim claim claim claim claim | lost lost lost lost lost lost lost | .
x's, we follow          | claim   claim   claim   claim   claim   | claim claim claim claim claim | lost lost lost lost lost lost lost | .
released to b           | .       .       .       .       .       | unfollow unfollow unfollow unfollow unfollow | lost lost lost lost lost lost lost | .
"""  # noqa: E501
ROWS = {
    line.split("|", 1)[0].strip(): [ACTIONS[word] for word in line.split("|", 1)[1].replace("|", " ").split()]
    for line in TABLE.strip("\n").splitlines()[1:]
}


def decided(map_: CityMap | None, slot: Slot, *, lease_until_s: float = NOW_S + 1) -> Action | None:
    """The one action for the city."""
    slots = {"roma": slot}
    if map_ is not None and "oslo" in map_.cities:
        owned = map_.cities["oslo"].owner == "a"
        slots["oslo"] = Slot("oslo", SlotState.RUNNING if owned else SlotState.IDLE, ownership=Ownership("oslo", 1, 3))
    actions = reconcile(map_, slots, NOW_S, lease_until_s, ME).actions
    assert len(actions) <= 1
    return actions[0] if actions else None


def test_the_table_is_whole() -> None:
    """A row for each situation, a cell for each state."""
    assert list(ROWS) == list(SITUATIONS)
    assert {len(row) for row in ROWS.values()} == {len(SLOTS)}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("state", SLOTS)
def test_every_state_in_every_situation(situation: str, state: str) -> None:
    """One action at most, as in the table."""
    expected = ROWS[situation][list(SLOTS).index(state)]
    assert decided(SITUATIONS[situation], SLOTS[state]()) == expected


@pytest.mark.parametrize("state", SLOTS)
def test_without_the_store_only_what_needs_no_map_is_decided(state: str) -> None:
    """What is held is dropped when the lease has run out; a failed city is loaded again until then."""
    slot = SLOTS[state]()
    alone = {"reloading, again": Reload("roma"), "reloading, too often": GIVE_UP}.get(state)
    assert decided(None, slot) == alone
    over = Drop("roma", "the lease ran out") if slot.held is not None else None
    assert decided(None, slot, lease_until_s=NOW_S) == over


def test_the_second_in_line_waits_and_then_tries() -> None:
    """Its turn comes when the first has not come for so long; the next look is not later than that."""
    map_ = SITUATIONS["nobody's, b's turn"]
    oslo = Slot("oslo", SlotState.RUNNING, ownership=Ownership("oslo", 1, 3))
    slot = Slot("roma", orphan=(3, NOW_S - 0.1))
    seen = reconcile(map_, {"roma": slot, "oslo": oslo}, NOW_S, NOW_S + 1, ME)
    assert not seen.actions
    assert seen.look_again_s == pytest.approx(PATIENCE_S - 0.1)
    later = reconcile(map_, {"roma": slot, "oslo": oslo}, NOW_S + PATIENCE_S, NOW_S + 1, ME)
    assert later.actions == (Claim("roma", 0, 3),)


def test_patience_begins_when_the_shards_have_waited_for_each_other() -> None:
    """A city without an owner for long is not every shard's at once, the moment it may claim."""
    map_ = busy_elsewhere(a_map(CITY, up_s=START_GAP_S + 0.1), "a")
    map_ = replace(map_, shards={**map_.shards, "b": replace(map_.shards["b"], up_ms=round(1000 * START_GAP_S) + 100)})
    oslo = Slot("oslo", SlotState.RUNNING, ownership=Ownership("oslo", 1, 3))
    slots = {"roma": Slot("roma", orphan=(3, NOW_S - 50)), "oslo": oslo}
    seen = reconcile(map_, slots, NOW_S, NOW_S + 1, ME)
    assert not seen.actions
    assert seen.look_again_s == pytest.approx(PATIENCE_S - 0.1)


def test_only_so_many_shadows_are_followed_at_a_time() -> None:
    """The next moves wait; a shadow that is tried again is not one more."""
    cities = {f"c{n}": replace(moving("b", "a"), city=f"c{n}", partition=n) for n in range(2 * SHADOWS)}
    map_ = replace(a_map(None), cities=cities)
    slots = {name: Slot(name) for name in cities}
    slots["c7"] = Slot("c7", SlotState.SHADOWING, NOW_S, NOW_S, OWN, 7)
    actions = reconcile(map_, slots, NOW_S, NOW_S + 1, ME).actions
    assert len(actions) == SHADOWS
    assert any(isinstance(action, Follow) and action.ownership.city == "c7" for action in actions)


def test_what_only_begins_something_comes_before_what_waits_for_the_store() -> None:
    """So no slot changes between the decision and the action."""
    held = Slot("oslo", SlotState.RUNNING, ownership=Ownership("oslo", 1, 2))
    slots = {"roma": Slot("roma"), "oslo": held}
    actions = reconcile(SITUATIONS["nobody's, our turn"], slots, NOW_S, NOW_S + 1, ME).actions
    assert [type(action) for action in actions] == [Drop, Claim]


@pytest.mark.parametrize(
    ("slot", "look_again_s"),
    [
        pytest.param(Slot("roma", SlotState.RUNNING, ownership=OWN), BEAT_EVERY_S, id="nothing to wait for"),
        pytest.param(Slot("roma", SlotState.RELOADING, 0.0, NOW_S + 0.3, OWN, failures=1), 0.3, id="a reload is due"),
        pytest.param(Slot("roma", SlotState.RELOADING, 0.0, NOW_S + 0.01, OWN), RETRY_S, id="never sooner than"),
    ],
)
def test_the_next_look_is_when_something_may_be_due(slot: Slot, look_again_s: float) -> None:
    """Not later than the heartbeat, not sooner than the shortest pause."""
    seen = reconcile(SITUATIONS["ours"], {"roma": slot}, NOW_S, NOW_S + 1, ME)
    assert seen.look_again_s == pytest.approx(look_again_s)


def test_a_shard_that_just_died_is_found_dead_at_once() -> None:
    """The next look is when the lease of another shard that has cities runs out."""
    shards = {"a": ShardEntry("a", "", True, 0), "b": ShardEntry("b", "", True, 2_500)}
    map_ = CityMap(1, {"roma": replace(CITY, owner="b")}, shards)
    assert reconcile(map_, {"roma": Slot("roma")}, NOW_S, NOW_S + 1, ME).look_again_s == pytest.approx(0.51)
