"""State of each city on a shard: one slot a city, with a named state. Pure: no I/O, the time is an argument.

`TRANSITIONS` says which state may follow which; `Slot.enter` is the only way from one to another. Each other method is
the outcome of an action, which `reconcile` decides and `Executor` carries out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from node.clock import Clock
from shard_router.leases.timing import RELOAD_PAUSE_S, SHADOW_RETRY_S, SHUN_S, SOUND_S, TAKE_PAUSE_S
from shard_router.topology import CityMap, Ownership


class SlotState(StrEnum):
    """State of a city on a shard."""

    #: Nothing.
    IDLE = "idle"
    #: It loads what another shard runs, to follow it for a move.
    SHADOWING = "shadowing"
    #: It follows what another shard runs and could take it at once.
    WARM = "warm"
    #: It has claimed the city and loads it.
    TAKING = "taking"
    #: It decides for the city.
    RUNNING = "running"
    #: A part of the city failed; it is loaded again.
    RELOADING = "reloading"
    #: It finishes the last tick and stores the final cut, for the target of a move.
    HANDING_OVER = "handing over"
    #: It decides no more and ends what is in memory.
    DROPPING = "dropping"
    #: It could not run the city and leaves it to others for a while.
    SHUNNED = "shunned"


_S = SlotState
TRANSITIONS: Mapping[SlotState, frozenset[SlotState]] = {
    _S.IDLE: frozenset({_S.SHADOWING, _S.TAKING}),
    _S.SHADOWING: frozenset({_S.WARM, _S.TAKING, _S.DROPPING, _S.IDLE}),
    _S.WARM: frozenset({_S.TAKING, _S.DROPPING}),
    _S.TAKING: frozenset({_S.RUNNING, _S.DROPPING}),
    _S.RUNNING: frozenset({_S.RELOADING, _S.HANDING_OVER, _S.DROPPING}),
    _S.RELOADING: frozenset({_S.RUNNING, _S.DROPPING}),
    _S.HANDING_OVER: frozenset({_S.DROPPING}),
    _S.DROPPING: frozenset({_S.IDLE, _S.SHUNNED}),
    _S.SHUNNED: frozenset({_S.SHADOWING, _S.TAKING}),
}
#: The shard holds the city: it may decide while its lease lives.
HOLDING = frozenset({_S.TAKING, _S.RUNNING, _S.RELOADING, _S.HANDING_OVER})
FOLLOWING = frozenset({_S.SHADOWING, _S.WARM})


class IllegalTransition(Exception):
    """A slot was to come into a state that may not follow its own: a fault of the program."""


@dataclass(slots=True)
class Slot:
    """One city as this shard sees it. Times are monotonic seconds."""

    city: str
    state: SlotState = SlotState.IDLE
    #: When it came into this state.
    since_s: float = 0.0
    #: Nothing is tried before: the next claim, the next load, the next attempt to shadow.
    until_s: float = 0.0
    #: In which epoch the shard holds the city; that of the owner while it follows one.
    ownership: Ownership | None = None
    #: The move for which the city is followed.
    move_id: int | None = None
    #: Why the last attempt to follow it failed.
    trouble: str = ""
    #: The move for which it could not be followed, and why.
    refused: tuple[int, str] | None = None
    #: Failures since the last sound run.
    failures: int = 0
    #: Times that it could not be taken, one after the other, for a reason that passes.
    not_taken: int = 0
    #: Since when nobody owns the city, and in which epoch.
    orphan: tuple[int, float] | None = None
    #: Something is being done about the city.
    busy: bool = False
    #: What follows `DROPPING`, and the pause then.
    after_drop: SlotState = SlotState.IDLE
    pause_s: float = 0.0

    @property
    def held(self) -> Ownership | None:
        """The city as this shard holds it, if it does."""
        return self.ownership if self.state in HOLDING else None

    def enter(self, state: SlotState, now_s: float) -> None:
        """Enters a state. Raises `IllegalTransition`."""
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(f"{self.city}: {state} may not follow {self.state}")
        self.state, self.since_s = state, now_s

    def follow(self, ownership: Ownership, move_id: int, now_s: float) -> None:
        """A shadow of the city is being loaded, for the first time or again."""
        if self.state is not SlotState.SHADOWING:
            self.enter(SlotState.SHADOWING, now_s)
            self.trouble = ""
        self.ownership, self.move_id = ownership, move_id

    def follow_failed(self, why: str, now_s: float, *, for_good: bool) -> None:
        """Nothing is followed; for good, the move is refused."""
        if not for_good:
            self.trouble = why
            self.until_s = now_s + SHADOW_RETRY_S
            return
        self._refuse(why)
        self.enter(SlotState.IDLE, now_s)
        self.until_s = now_s

    def claimed(self, ownership: Ownership, now_s: float) -> None:
        """The city is ours in a new epoch; it is being loaded."""
        self.enter(SlotState.TAKING, now_s)
        self.ownership, self.move_id, self.refused = ownership, None, None

    def taken(self, now_s: float) -> None:
        """It is loaded and decides."""
        self.enter(SlotState.RUNNING, now_s)
        self.not_taken = 0

    def take_failed(self, now_s: float, *, for_good: bool) -> None:
        """It could not be taken and is given back; for good, it is shunned, else tried again after a growing pause."""
        self.not_taken = 0 if for_good else self.not_taken + 1
        self.drop(now_s, shun=for_good)
        if not for_good:
            self.pause_s = _pause_s(TAKE_PAUSE_S, self.not_taken)

    def failed(self, now_s: float) -> None:
        """A part of the running city failed."""
        sound = now_s - self.since_s >= SOUND_S
        self.enter(SlotState.RELOADING, now_s)
        self.failures = 1 if sound else self.failures + 1
        self._pause_reload(now_s)

    def reload_failed(self, now_s: float, *, for_good: bool) -> None:
        """It could not be loaded again; what passes by itself says nothing against the city."""
        self.failures += for_good
        self._pause_reload(now_s)

    def drop(self, now_s: float, *, shun: bool = False, refuse: str = "") -> None:
        """Whatever there is of the city here is being ended."""
        if refuse:
            self._refuse(refuse)
        self.enter(SlotState.DROPPING, now_s)
        self.after_drop, self.pause_s = (SlotState.SHUNNED, SHUN_S) if shun else (SlotState.IDLE, 0.0)

    def dropped(self, now_s: float) -> None:
        """Nothing of the city runs here any more."""
        self.enter(self.after_drop, now_s)
        self.ownership, self.move_id = None, None
        self.until_s = now_s + self.pause_s
        if self.state is SlotState.SHUNNED:
            self.failures = 0

    def _refuse(self, why: str) -> None:
        if self.move_id is not None:
            self.refused = self.move_id, why

    def _pause_reload(self, now_s: float) -> None:
        self.until_s = now_s + _pause_s(RELOAD_PAUSE_S, self.failures)


def _pause_s(pauses_s: tuple[float, float], failures: int) -> float:
    """The first pause after one failure, then twice as long each time, up to the longest; none without a failure."""
    first_s, longest_s = pauses_s
    return min(first_s * 2.0 ** min(failures - 1, 32), longest_s) if failures else 0.0


@dataclass(slots=True)
class Slots:
    """All slots of a shard, and until when its lease lives by its own count.

    Written by `ShardLease`; whoever decides asks `holds` first.
    """

    clock: Clock
    lease_until_s: float = 0.0
    of: dict[str, Slot] = field(default_factory=dict)

    def holds(self, city: str, epoch: int) -> bool:
        """Whether the shard may decide for the city now. Cheap: ask before each tick."""
        slot = self.of.get(city)
        held = slot.held if slot is not None else None
        return held is not None and held.epoch == epoch and self.clock.monotonic_s() < self.lease_until_s

    def observe(self, map_: CityMap) -> None:
        """Opens a slot for each city of the map and notes since when it has had no owner."""
        now_s = self.clock.monotonic_s()
        for entry in map_.cities.values():
            slot = self.of.setdefault(entry.city, Slot(entry.city))
            if map_.alive(entry.owner):
                slot.orphan = None
            elif slot.orphan is None or slot.orphan[0] != entry.epoch:
                slot.orphan = entry.epoch, now_s
