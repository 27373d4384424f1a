"""Names of numbers on the wire, against the .proto files."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from dispatch.shard.queries import Activity
from proto.dispatch.v1 import dispatch_pb2
from proto.tracking.v1 import rider_link_pb2
from tracking.client.values import StopKind
from tracking.statuses import RiderStatus, Vehicle

FRAMES = Path(__file__).parents[3] / "gateway/web/src/live/frames.ts"


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (RiderStatus, rider_link_pb2.RiderStatus, "RIDER_STATUS_"),
        (Vehicle, rider_link_pb2.Vehicle, "VEHICLE_"),
        (StopKind, rider_link_pb2.StopKind, "STOP_KIND_"),
    ],
    ids=["RiderStatus", "Vehicle", "StopKind"],
)
def test_numbers_are_those_of_the_wire(ours: type[Enum], theirs: EnumTypeWrapper, prefix: str) -> None:
    """A value added to the .proto file must get its name here too; 0 may be left out or called UNKNOWN."""
    named = {value.name: value.value for value in ours if value.value}
    assert named == {name.removeprefix(prefix): number for name, number in theirs.items() if number}


def test_activities_are_those_of_the_wire() -> None:
    """The shard's names, the wire's and the page's, in the order of the numbers."""
    names = sorted(dispatch_pb2.RiderActivity.keys(), key=dispatch_pb2.RiderActivity.Value)
    assert [f"RIDER_ACTIVITY_{one.name}" for one in Activity] == names
    found = re.search(r"RIDER_ACTIVITIES = \[(.*?)\]", FRAMES.read_text(), re.DOTALL)
    assert found is not None
    assert re.findall(r'"(\w+)"', found.group(1)) == [one.value for one in Activity]
