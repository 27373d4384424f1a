"""Vehicles of riders: between the wire's numbers and values."""

from __future__ import annotations

from typing import Final

from dispatch.engine.model import Vehicle
from proto.tracking.v1 import rider_link_pb2

_NUMBERS: Final = {
    Vehicle.BICYCLE: rider_link_pb2.VEHICLE_BICYCLE,
    Vehicle.MOTORBIKE: rider_link_pb2.VEHICLE_SCOOTER,
    Vehicle.CAR: rider_link_pb2.VEHICLE_CAR,
}
_VALUES: Final = {number: vehicle for vehicle, number in _NUMBERS.items()}


def vehicle_of(number: int) -> Vehicle:
    """The vehicle of a number on the wire; a motorbike where none was said or none that this release knows."""
    return _VALUES.get(number, Vehicle.MOTORBIKE)  # type: ignore[call-overload, no-any-return]


def vehicle_number(vehicle: Vehicle) -> rider_link_pb2.Vehicle.ValueType:
    """The number of a vehicle on the wire."""
    return _NUMBERS[vehicle]
