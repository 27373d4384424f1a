"""Reading instances, and saying what is wrong with a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.replay.errors import BadInstance
from simulator.replay.instance import read_instance
from tests.unit.simulator.replay.worlds import one_courier_two_orders, random_instance, write_instance


def test_an_instance_is_read_as_written(tmp_path: Path) -> None:
    """All values come back, the name from the folder."""
    instance = random_instance(1)
    assert read_instance(write_instance(tmp_path / instance.name, instance)) == instance


BROKEN = [
    ("orders.txt", 2, "900", "9x0", "x is no whole number: '9x0'"),
    ("orders.txt", 3, "\tr1\t", "\tr9\t", "restaurant r9 is not in restaurants.txt"),
    ("orders.txt", 3, "o2", "o1", "order o1 is there twice"),
    ("orders.txt", 2, "\t10", "\t-10", "ready_time must be at least 0, got -10"),
    ("orders.txt", 2, "\t10", "", "6 fields expected, got 5"),
    ("orders.txt", 1, "order", "Order", "header must be"),
    ("couriers.txt", 2, "\t60", "\t-1", "off_time must be at least 0, got -1"),
    ("instance_parameters.txt", 2, "300", "0", "meters_per_minute must be at least 1, got 0"),
    ("instance_parameters.txt", 2, "\t4\t", "\t3\t", "pickup service minutes must be even, got 3"),
]


@pytest.mark.parametrize(
    ("name", "line", "old", "new", "reason"), BROKEN, ids=[f"{b[0]}:{b[1]} {b[4]}" for b in BROKEN]
)
def test_bad_lines_are_named(tmp_path: Path, name: str, line: int, old: str, new: str, reason: str) -> None:
    """The error says file, line and what is wrong there."""
    folder = write_instance(tmp_path / "tiny", one_courier_two_orders())
    lines = (folder / name).read_text().splitlines()
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    (folder / name).write_text("\n".join(lines))
    with pytest.raises(BadInstance) as caught:
        read_instance(folder)
    assert (caught.value.file, caught.value.line) == (folder / name, line)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["orders.txt", "couriers.txt", "restaurants.txt", "instance_parameters.txt"])
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    """Each of the four files is needed."""
    folder = write_instance(tmp_path / "tiny", one_courier_two_orders())
    (folder / name).unlink()
    with pytest.raises(BadInstance, match=f"{name}: file is missing"):
        read_instance(folder)


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(BadInstance, match="no such folder"):
        read_instance(tmp_path / "nowhere")
