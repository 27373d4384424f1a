"""Times at a stop: arrival, handover and departure, and how the service lies around the handover. Pure.

         way       half of service     wait      half of service       way
    ------------->|---------------|...........|-----------------|------------->
               arrive          earliest    handover           leave

    handover = max(arrive + half, ready)      leave = handover + half

Half of a service lies before the handover, half after it; food is handed over no sooner than all of it is ready, and
at a door there is nothing to wait for (Reyes et al. 2018, "The Meal Delivery Routing Problem"). Worked example: 120 s
of service, arrival at 0:00, food ready at 2:30: handover at 2:30, the rider leaves at 3:30. With food ready at 0:30 the
handover is at 1:00.

Scalars may be of any unit, as long as all arguments of a call have the same unit and origin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.model import StopKind
from dispatch.engine.params import ServiceParams

Number = TypeVar("Number", int, float)
Floats = NDArray[np.float64]


def half_s(kind: StopKind, service: ServiceParams) -> float:
    """Half of a service at a stop of this kind, seconds."""
    return (service.pickup_s if kind is StopKind.PICKUP else service.dropoff_s) / 2


def half_ms(kind: StopKind, service: ServiceParams) -> int:
    """Half of a service at a stop of this kind, whole milliseconds."""
    return round(half_s(kind, service) * 1000)


def handover(arrive: Number, half: Number, ready: Number | None = None) -> Number:
    """Time of the handover; at a door nothing has to be `ready`."""
    earliest = arrive + half
    return earliest if ready is None else max(earliest, ready)


def handovers_s(arrive_s: Floats, half: float, ready_s: Floats | None = None) -> Floats:
    """`handover` of each of n stops, seconds."""
    earliest_s = arrive_s + half
    return earliest_s if ready_s is None else np.maximum(ready_s, earliest_s)


def until_left_s(picked_up_ms: Iterable[int], now_ms: int, half_pickup_s: float) -> float:
    """Seconds until a rider who picked these orders up leaves the last counter; 0 when it has left."""
    return max(0.0, (max(picked_up_ms, default=0) - now_ms) / 1000 + half_pickup_s)
