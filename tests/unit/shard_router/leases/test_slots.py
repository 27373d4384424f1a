"""A slot: which state may follow which, and what it keeps in mind."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from node.clock import ManualClock
from shard_router.leases.slots import HOLDING, TRANSITIONS, IllegalTransition, Slot, Slots, SlotState
from shard_router.leases.timing import FAILURES, PATIENCE_S, RELOAD_PAUSE_S, SHUN_S, SOUND_S, TAKE_PAUSE_S
from shard_router.topology import CityMap, Ownership
from tests.unit.shard_router.leases.worlds import CITY, OWN


@pytest.mark.parametrize(("before", "after"), list(itertools.product(SlotState, SlotState)))
def test_a_slot_moves_by_the_table_only(before: SlotState, after: SlotState) -> None:
    """Whatever the table does not allow is refused and changes nothing."""
    slot = Slot("roma", before)
    if after in TRANSITIONS[before]:
        slot.enter(after, 5.0)
        assert (slot.state, slot.since_s) == (after, 5.0)
    else:
        with pytest.raises(IllegalTransition):
            slot.enter(after, 5.0)
        assert (slot.state, slot.since_s) == (before, 0.0)


def test_every_state_is_reached_and_left() -> None:
    """From `IDLE` there is a way to each state, and from each one back."""
    for state in SlotState:
        assert state in reached(SlotState.IDLE)
        assert SlotState.IDLE in reached(state)


def reached(state: SlotState) -> set[SlotState]:
    """States that can follow one, by any number of steps."""
    found: set[SlotState] = set()
    new = {state}
    while new := {after for before in new for after in TRANSITIONS[before]} - found:
        found |= new
    return found


@pytest.mark.parametrize("state", SlotState)
def test_a_shard_decides_while_it_holds_the_city_and_the_lease_lives(state: SlotState) -> None:
    """In four states, in the epoch it holds, and until the lease runs out by its own count."""
    clock = ManualClock(1_000_000)
    slots = Slots(clock, clock.monotonic_s() + 1, {"roma": Slot("roma", state, ownership=OWN)})
    assert slots.holds("roma", 3) is (state in HOLDING)
    assert not slots.holds("roma", 2)
    assert not slots.holds("oslo", 3)
    clock.advance(1000)
    assert not slots.holds("roma", 3)


def test_pauses_grow_with_failures() -> None:
    """From the first to the last, each twice as long, and no longer than the longest."""
    slot = Slot("roma", SlotState.RUNNING, ownership=OWN)
    slot.failed(10.0)
    pauses_s = [slot.until_s - 10.0]
    for _ in range(2 * FAILURES):
        slot.reload_failed(10.0, for_good=True)
        pauses_s.append(slot.until_s - 10.0)
    assert pauses_s[:4] == pytest.approx([RELOAD_PAUSE_S[0] * 2**n for n in range(4)])
    assert max(pauses_s) == RELOAD_PAUSE_S[1]


def test_a_city_that_could_not_be_taken_rests_for_longer_each_time() -> None:
    """Longer than the next in line waits, up to the longest; a take that succeeds ends the count."""
    slot, pauses_s = Slot("roma"), []
    for _ in range(6):
        slot.claimed(OWN, 10.0)
        slot.take_failed(10.0, for_good=False)
        slot.dropped(10.0)
        pauses_s.append(slot.until_s - 10.0)
    assert pauses_s == sorted(pauses_s)
    assert (pauses_s[0], pauses_s[-1]) == pytest.approx(TAKE_PAUSE_S)
    assert pauses_s[0] > PATIENCE_S
    slot.claimed(OWN, 20.0)
    slot.taken(20.0)
    assert slot.not_taken == 0


def test_a_city_that_was_lost_may_be_claimed_at_once() -> None:
    """The pause before a load is none before a claim."""
    slot = Slot("roma", SlotState.RUNNING, ownership=OWN)
    slot.failed(10.0)
    assert slot.until_s > 10.0
    slot.drop(10.0)
    slot.dropped(10.0)
    assert (slot.state, slot.until_s) == (SlotState.IDLE, 10.0)


def test_the_end_of_a_shadow_delays_no_claim() -> None:
    """Whatever stood in the way of a take before: that pause was over long ago."""
    slot = Slot("roma", not_taken=3)
    slot.follow(OWN, 7, 1.0)
    slot.drop(10.0)
    slot.dropped(10.0)
    assert (slot.state, slot.until_s) == (SlotState.IDLE, 10.0)


def test_what_passes_by_itself_does_not_count() -> None:
    """A city that could not be loaded just then is not nearer to being given up."""
    slot = Slot("roma", SlotState.RUNNING, ownership=OWN)
    slot.failed(10.0)
    slot.reload_failed(11.0, for_good=False)
    assert (slot.failures, slot.until_s) == (1, 11.0 + RELOAD_PAUSE_S[0])


def test_a_sound_run_clears_the_count() -> None:
    """A failure after a minute of good health is a first failure again."""
    slot = Slot("roma", SlotState.RUNNING, failures=4, ownership=OWN)
    slot.failed(SOUND_S - 1)
    assert slot.failures == 5
    slot.taken(100.0)
    slot.failed(100.0 + SOUND_S)
    assert slot.failures == 1


def test_a_shunned_city_begins_anew() -> None:
    """It is left alone for a while; then its failures are forgotten."""
    slot = Slot("roma", SlotState.RELOADING, failures=6, ownership=OWN)
    slot.drop(5.0, shun=True)
    slot.dropped(6.0)
    assert (slot.state, slot.until_s, slot.failures, slot.ownership) == (SlotState.SHUNNED, 6.0 + SHUN_S, 0, None)


def test_a_move_that_could_not_be_followed_is_kept_in_mind_until_a_claim() -> None:
    """So that the store is told until it has heard."""
    slot = Slot("roma")
    slot.follow(OWN, 7, 1.0)
    slot.follow_failed("a log nobody understands", 2.0, for_good=True)
    assert (slot.state, slot.refused) == (SlotState.IDLE, (7, "a log nobody understands"))
    slot.claimed(Ownership("roma", 0, 4), 3.0)
    assert slot.refused is None


def test_a_city_is_an_orphan_since_its_epoch_had_no_owner() -> None:
    """A claim that failed in between begins a new wait."""
    clock = ManualClock(1_000_000)
    slots = Slots(clock)
    slots.observe(CityMap(1, {"roma": CITY}, {}))
    since_s = clock.monotonic_s()
    clock.advance(1000)
    slots.observe(CityMap(1, {"roma": CITY}, {}))
    assert slots.of["roma"].orphan == (3, since_s)
    slots.observe(CityMap(2, {"roma": replace(CITY, epoch=4)}, {}))
    assert slots.of["roma"].orphan == (4, since_s + 1)
