"""Statuses and vehicles of riders, as the app says them and the edge checks them."""

from __future__ import annotations

from enum import IntEnum


class RiderStatus(IntEnum):
    """Numbers of `tracking.v1.RiderStatus`."""

    ONLINE = 1
    OFFLINE = 2
    ARRIVED = 3
    PICKED_UP = 4
    DELIVERED = 5


class Vehicle(IntEnum):
    """Numbers of `tracking.v1.Vehicle`."""

    UNKNOWN = 0
    BICYCLE = 1
    SCOOTER = 2
    CAR = 3
