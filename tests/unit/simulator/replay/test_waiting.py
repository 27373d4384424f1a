"""The variant where idle couriers are sent to wait: no rule broken, no look-ahead, couriers go where orders were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatch.engine.params import EngineParams
from simulator.replay.checker import violations
from simulator.replay.history import History
from simulator.replay.instance import Instance, InstanceOrder
from simulator.replay.policy import mdrp_params
from simulator.replay.waiting import WaitingWorld
from simulator.replay.world import replay
from tests.unit.simulator.replay.test_replay import until
from tests.unit.simulator.replay.worlds import random_instance


def waiting(instance: Instance) -> History:
    """The day with prepositioning."""
    params = mdrp_params(instance.rules)
    eager = replace(params.prepositioning, on=True, least_gain_s=1.0)
    return WaitingWorld(instance, replace(params, prepositioning=eager)).run()


@pytest.mark.parametrize("seed", range(2))
def test_no_rule_is_broken(seed: int) -> None:
    """The checker of the variant finds nothing; the one without idle moves does."""
    instance = random_instance(seed, couriers=10)
    history = waiting(instance)
    assert violations(instance, history, idle_moves=True) == []
    assert violations(instance, history) != []


@pytest.mark.parametrize("minute", [50])
def test_a_poisoned_future_sends_nobody(minute: int) -> None:
    """Fifteen orders of one far restaurant from a minute on: until then everybody goes where they went without."""
    instance = random_instance(4, couriers=10)
    poison = tuple(InstanceOrder(f"x{i}", (10 * i, 0), minute, "r0", minute + 1) for i in range(15))
    assert until(waiting(replace(instance, orders=(*instance.orders, *poison))), minute) == until(
        waiting(instance), minute
    )


def test_off_by_default() -> None:
    """Without the parameter the plain world plays, and nobody moves for nothing."""
    instance = random_instance(1)
    assert not EngineParams().prepositioning.on
    assert violations(instance, replay(instance, mdrp_params(instance.rules))) == []
