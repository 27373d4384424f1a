"""Decide a shard's next action for each city from the map and its slots. Pure: no I/O, no clock.

    slots, map, time ──> reconcile ──> at most one action a city, each legal in the state of its slot
                                  └──> when to look again

The store did not answer: the map is None, and only what needs no map is decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shard_router.leases.claim_order import claim_places, start_wait_left_s
from shard_router.leases.slots import FOLLOWING, HOLDING, Slot, SlotState
from shard_router.leases.timing import BEAT_EVERY_S, FAILURES, LEASE_S, PATIENCE_S, RETRY_S, SHADOWS, WARM_S
from shard_router.topology import CityEntry, CityMap, Move, MoveState, Ownership


@dataclass(frozen=True, slots=True)
class Drop:
    """End the city at once; let others claim it, and leave it to them for a while, if so said."""

    city: str
    reason: str
    release: bool = False
    shun: bool = False


@dataclass(frozen=True, slots=True)
class Unfollow:
    """End the shadow; `refuse` says why its move cannot be."""

    city: str
    refuse: str = ""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Finish the last tick, store the final cut, let the target claim the city."""

    city: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Load the city again after a part of it failed."""

    city: str


@dataclass(frozen=True, slots=True)
class Follow:
    """Load a shadow of the city that another shard runs."""

    ownership: Ownership
    move_id: int


@dataclass(frozen=True, slots=True)
class FailMove:
    """Tell the store that a move will not be."""

    move_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class TellWarm:
    """Tell the store that the shadow is warm."""

    city: str
    move_id: int


@dataclass(frozen=True, slots=True)
class Release:
    """Tell the store that others may claim a city that it says is ours and that we do not hold."""

    ownership: Ownership


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim the city, then take it."""

    city: str
    partition: int
    seen_epoch: int


#: Carried out first: they only change slots and begin tasks.
Local = Drop | Unfollow | HandOver | Reload | Follow
#: These wait for the store.
Remote = FailMove | TellWarm | Release | Claim
Action = Local | Remote


@dataclass(frozen=True, slots=True)
class Member:
    """A shard among the others; on a first start `expected` shards wait for each other."""

    shard_id: str
    address: str
    expected: int = 1


@dataclass(frozen=True, slots=True)
class Decided:
    """Actions, the local ones first, and when to look again at the latest, seconds."""

    actions: tuple[Action, ...]
    look_again_s: float


def reconcile(
    map_: CityMap | None, slots: Mapping[str, Slot], now_s: float, lease_until_s: float, me: Member
) -> Decided:
    """Everything that this shard should do now. `slots` has one for each city of the map."""
    if map_ is None:
        found = [_without_map(slot, now_s, lease_until_s) for slot in slots.values()]
        return Decided(tuple(action for action in found if action is not None), RETRY_S)
    turns = _turns(map_, slots, now_s, me)
    room = SHADOWS - sum(slot.state in FOLLOWING for slot in slots.values())
    actions: list[Action] = []
    for city, slot in slots.items():
        entry, turn = map_.cities.get(city), turns.get(city, 1.0) <= 0
        action = _decide(map_, entry, slot, now_s, me.shard_id, turn=turn)
        if isinstance(action, Follow) and slot.state not in FOLLOWING:
            if room <= 0:
                continue
            room -= 1
        if action is not None:
            actions.append(action)
    actions.sort(key=lambda action: isinstance(action, Remote))
    pauses_s = [left_s for left_s in turns.values() if left_s > 0]
    pauses_s += [slot.until_s - now_s for slot in slots.values() if slot.until_s > now_s]
    soonest_s = min(BEAT_EVERY_S, next_expiry_s(map_, me.shard_id), *pauses_s)
    return Decided(tuple(actions), max(RETRY_S, soonest_s))


def next_expiry_s(map_: CityMap, own: str) -> float:
    """When the next lease of another shard that has cities will run out unless it is renewed; a lease is judged then.

    A shard that has just died is so found dead at once, not up to a heartbeat later.
    """
    owners = {city.owner for city in map_.cities.values()}
    ages_ms = [
        s.heartbeat_age_ms for s in map_.shards.values() if s.alive and s.shard_id != own and s.shard_id in owners
    ]
    return max(RETRY_S, LEASE_S - max(ages_ms, default=0) / 1000 + 0.01)


def _without_map(slot: Slot, now_s: float, lease_until_s: float) -> Action | None:
    if slot.state in HOLDING and now_s >= lease_until_s:
        return Drop(slot.city, "the lease ran out")
    return _reload(slot, now_s) if slot.state is SlotState.RELOADING else None


def _decide(map_: CityMap, entry: CityEntry | None, slot: Slot, now_s: float, me: str, *, turn: bool) -> Action | None:
    if slot.state in HOLDING:
        return _of_held(map_, entry, slot, now_s, me)
    if slot.state in FOLLOWING:
        return _of_followed(map_, entry, slot, now_s, me)
    if slot.state is SlotState.DROPPING or entry is None:
        return None
    rests = now_s < slot.until_s
    if entry.owner == me:
        return _of_left_behind(map_, entry, me, rests=rests)
    if entry.move is not None and entry.moving_to == me:
        return _of_coming(map_, entry, entry.move, slot, me)
    return _claim(entry) if turn and not rests else None


def _of_held(map_: CityMap, entry: CityEntry | None, slot: Slot, now_s: float, me: str) -> Action | None:
    """Go on, unless another shard has the city or should have it."""
    held = slot.held
    if entry is None or held is None or (entry.owner, entry.epoch) != (me, held.epoch):
        return Drop(slot.city, "another shard took it")
    if slot.state in (SlotState.TAKING, SlotState.HANDING_OVER):
        return None
    move = entry.move
    if move is not None and not map_.alive(move.to_shard):
        return FailMove(move.move_id, f"{move.to_shard} died")
    if move is not None and move.state is MoveState.WARM:
        running = slot.state is SlotState.RUNNING
        return HandOver(slot.city) if running else Drop(slot.city, "it moved", release=True)
    return _reload(slot, now_s) if slot.state is SlotState.RELOADING else None


def _reload(slot: Slot, now_s: float) -> Action | None:
    if slot.busy:
        return None
    if slot.failures > FAILURES:
        return Drop(slot.city, f"it failed more than {FAILURES} times in a row", release=True, shun=True)
    return Reload(slot.city) if now_s >= slot.until_s else None


def _of_followed(map_: CityMap, entry: CityEntry | None, slot: Slot, now_s: float, me: str) -> Action | None:
    """Follow until the move is over, or the city free for us to take; give up what does not get warm."""
    move = entry.move if entry is not None else None
    if entry is None or move is None or (move.move_id, move.to_shard) != (slot.move_id, me):
        return Unfollow(slot.city)
    if not map_.alive(entry.owner):
        return _claim(entry)
    if slot.state is SlotState.WARM:
        return TellWarm(slot.city, move.move_id) if move.state is MoveState.SHADOWING else None
    if now_s - slot.since_s >= WARM_S:
        return Unfollow(slot.city, refuse=f"not warm within {WARM_S:g} s" + (slot.trouble and f": {slot.trouble}"))
    again = not slot.busy and now_s >= slot.until_s
    return Follow(_ownership(entry), move.move_id) if again else None


def _of_left_behind(map_: CityMap, entry: CityEntry, me: str, *, rests: bool) -> Action:
    """Ours by the map, of an earlier run or of before an outage: while we live, nobody else can claim it."""
    elsewhere = entry.moving_to != me and map_.alive(entry.moving_to)
    if elsewhere or rests or map_.shards[me].draining:
        return Release(_ownership(entry))
    return _claim(entry)


def _of_coming(map_: CityMap, entry: CityEntry, move: Move, slot: Slot, me: str) -> Action | None:
    """A city on its way to us; that it rests here does not count, somebody wants it here."""
    if not map_.alive(entry.owner):
        return _claim(entry)
    if slot.refused is not None and slot.refused[0] == move.move_id:
        return FailMove(move.move_id, f"{me} cannot follow it: {slot.refused[1]}")
    return Follow(_ownership(entry), move.move_id)


def _turns(map_: CityMap, slots: Mapping[str, Slot], now_s: float, me: Member) -> dict[str, float]:
    """Seconds until this shard should try each city that nobody owns; not positive: now."""
    left_s = start_wait_left_s(map_, me.expected)
    own_left_s = left_s.get(me.shard_id)
    if own_left_s is None:
        return {}
    if own_left_s > 0:
        return {city.city: own_left_s for city in map_.orphans()}
    places = claim_places(map_, [shard for shard, left in left_s.items() if left <= 0], me.shard_id)
    turns: dict[str, float] = {}
    for city, place in places.items():
        orphan = slots[city].orphan
        waited_s = min(now_s - orphan[1] if orphan is not None else 0.0, -own_left_s)
        turns[city] = PATIENCE_S * place - waited_s
    return turns


def _claim(entry: CityEntry) -> Claim:
    return Claim(entry.city, entry.partition, entry.epoch)


def _ownership(entry: CityEntry) -> Ownership:
    return Ownership(entry.city, entry.partition, entry.epoch)
