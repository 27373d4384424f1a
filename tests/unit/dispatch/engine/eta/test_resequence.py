"""Plans in a better order, in the engine."""

from __future__ import annotations

from dataclasses import replace

from dispatch.engine.basis import Fallbacks
from dispatch.engine.computed_tick import Matched
from dispatch.engine.eta.resequence import rearrange, stops_to_sequence
from dispatch.engine.eta.sequence import best_sequence
from dispatch.engine.inputs import Delivered, OfferReplied, PickedUp
from dispatch.engine.model import OrderId, Rider, RiderId
from dispatch.engine.params import EngineParams, EtaParams, OfferParams
from dispatch.engine.questions import LocalAnswers, run_steps
from dispatch.engine.state import CityState, Draft
from dispatch.engine.tick import match_orders
from dispatch.engine.travel.planar import PlanarTravel
from tests.unit.dispatch.engine.small_worlds import METRES_PER_MINUTE, MINUTE_MS, SmallWorld, order

TRAVEL = PlanarTravel(METRES_PER_MINUTE)


def two_doors_on_board(resequence_s: float = 60.0) -> SmallWorld:
    """A rider has two orders on board whose doors lie on either side of the counter, 1 and 10 minutes away."""
    params = EngineParams(offers=OfferParams(lead_s=0.0), eta=EtaParams(resequence_s=resequence_s))
    world = SmallWorld(params)
    near, far = order("near", to=(300, 0), ready=0), order("far", to=(-3000, 0), ready=0)
    (offer,) = world.tick(0, world.rider(1), near, far).decisions.offers
    world.tick(1, OfferReplied(1 * MINUTE_MS, offer.offer_id, offer.rider_id, True))
    world.tick(2, PickedUp(2 * MINUTE_MS, RiderId(1), (OrderId("near"), OrderId("far"))))
    return world


def doors(rider: Rider) -> list[str]:
    """Orders of the doors of a plan, in its order."""
    return [stop.order_ids[0] for stop in rider.stops]


def turned_round(world: SmallWorld) -> None:
    """The plan the wrong way round, as if the world had changed."""
    rider = world.rider_now(1)
    world.state.riders[RiderId(1)] = replace(rider, stops=rider.stops[::-1])


def test_a_plan_the_wrong_way_round_is_put_right() -> None:
    """The near door first; the times follow, each later than the one before; the change is the draft's."""
    world = two_doors_on_board()
    turned_round(world)
    result = world.tick(4)
    rider = world.rider_now(1)
    assert doors(rider) == ["near", "far"]
    assert [r.rider_id for r in result.decisions.changes.riders] == [1]
    times = [ms for stop in rider.stops for ms in (stop.arrive_ms, stop.done_ms, stop.leave_ms)]
    assert times == sorted(times)
    assert world.tick(5, Delivered(5 * MINUTE_MS, RiderId(1), OrderId("near"))).notes


def test_a_good_plan_stays_as_it_is() -> None:
    """Nothing changes, not even the times."""
    world = two_doors_on_board()
    before = world.rider_now(1)
    assert not world.tick(4).decisions.changes.riders
    assert world.rider_now(1) == before


def test_a_late_search_leaves_plans_as_they_are() -> None:
    """The tick goes on without a better order and says why; with that reason it decides the same again."""
    world = two_doors_on_board()
    turned_round(world)

    def matched(fallbacks: Fallbacks) -> Matched:
        steps = match_orders(world.state, [], world.positions(), 4 * MINUTE_MS, TRAVEL, world.params, "t4")
        return run_steps(steps, LocalAnswers(TRAVEL, world.params, fallbacks))

    in_time, late, again = map(matched, (Fallbacks(), Fallbacks(stops="wall clock"), Fallbacks(stops="wall clock")))
    assert [rider.rider_id for rider in in_time.decisions.changes.riders] == [1]
    assert (in_time.stops_fallback, late.stops_fallback) == ("", "wall clock")
    assert not late.decisions.changes.riders
    assert late == again


def test_little_is_not_worth_a_turn() -> None:
    """With a price above the gain, or with none at all asked for, the plan stays."""
    for resequence_s in (50_000.0, 0.0):
        world = two_doors_on_board(resequence_s)
        turned_round(world)
        world.tick(4)
        assert doors(world.rider_now(1)) == ["far", "near"]


def test_who_is_not_seen_is_not_turned_round() -> None:
    """Without a fresh position nobody knows which door is nearer."""
    world = two_doors_on_board()
    turned_round(world)
    world.age_ms = 120_000
    world.tick(4)
    assert doors(world.rider_now(1)) == ["far", "near"]


def test_equal_inputs_make_equal_plans() -> None:
    """Twice the same draft, twice the same riders."""
    world = two_doors_on_board()
    turned_round(world)
    answers = []
    for _ in range(2):
        draft = Draft(CityState(dict(world.state.orders), dict(world.state.riders)))
        choices = stops_to_sequence(draft, world.positions(), 4 * MINUTE_MS, TRAVEL, world.params)
        orders = [best_sequence(choice.asked) for choice in choices]
        changed = rearrange(draft, choices, orders, 4 * MINUTE_MS, world.params)
        answers.append((changed, draft.changes()))
    assert answers[0] == answers[1]
    assert answers[0][0] == (1,)
