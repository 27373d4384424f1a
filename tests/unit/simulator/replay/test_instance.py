"""Reading instances, and saying what is wrong with a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.cli import main
from simulator.replay.errors import BadInstance
from simulator.replay.instance import read_instance
from tests.unit.simulator.replay.worlds import one_courier_two_orders, random_instance, write_instance


def test_an_instance_is_read_as_written(tmp_path: Path) -> None:
    """All values come back, the name from the folder."""
    instance = random_instance(1)
    assert read_instance(write_instance(tmp_path / instance.name, instance)) == instance


BROKEN = [
    ("orders.txt", 2, "900", "9x0", "x is no whole number: '9x0'"),
    ("orders.txt", 3, "\tr1\t", "\tr9\t", "restaurant 'r9' is not in restaurants.txt"),
    ("orders.txt", 3, "o2", "o1", "order o1 is there twice"),
    ("orders.txt", 3, "o2", "r1", "order r1 has the name of a restaurant"),
    ("orders.txt", 2, "\t10", "\t-10", "ready_time must be within 0..44640, got '-10'"),
    ("orders.txt", 2, "\t10", "", "6 fields expected, got 5"),
    ("orders.txt", 1, "order", "Order", "header must be"),
    ("couriers.txt", 2, "\t60", "\t-1", "off_time must be within 0..44640, got '-1'"),
    ("instance_parameters.txt", 2, "300", "0", "meters_per_minute must be within 1..10000, got '0'"),
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
    assert [(bad.file, bad.line) for bad in caught.value.lines] == [(folder / name, line)]
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


HUGE = "9" * 20


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("orders.txt", "900", HUGE, "x must be within -10000000..10000000"),
        ("orders.txt", "900", "9" * 5_000, "x must be within"),
        ("orders.txt", "\t10", "\t2000000000", "ready_time must be within 0..44640"),
        ("orders.txt", "900", "nan", "x is no whole number: 'nan'"),
        ("orders.txt", "900", "1e3", "x is no whole number"),
        ("orders.txt", "900", "\u0669", "x is no whole number"),
        ("couriers.txt", "\t60", f"\t{HUGE}", "off_time must be within"),
        ("restaurants.txt", "r1", "", "restaurant must be a name, got ''"),
        ("instance_parameters.txt", "300", HUGE, "meters_per_minute must be within 1..10000"),
        ("orders.txt", "o2", "o1 ", "order o1 is there twice"),
        ("orders.txt", "\t", ",", "tab-separated"),
    ],
)
def test_numbers_and_names_are_checked_as_they_are_used(
    tmp_path: Path, name: str, old: str, new: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beyond every range, no number, other digits; names that differ by a space: refused by the command in one line."""
    folder = write_instance(tmp_path / "tiny", one_courier_two_orders())
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert main(["replay", str(folder), "--json"]) == 2
    printed, said = capsys.readouterr()
    assert (printed, said.count("\n")) == ("", 1)
    assert name in said
    assert reason in said


def test_every_bad_line_is_named_at_once(tmp_path: Path) -> None:
    """Three faults in two files; a file that is empty, and one that is no text."""
    folder = write_instance(tmp_path / "tiny", one_courier_two_orders())
    orders = (folder / "orders.txt").read_text().splitlines()
    (folder / "orders.txt").write_text("\n".join([orders[0], "o1\tx\ty\t1\tr1\t2"]))
    (folder / "couriers.txt").write_text("")
    (folder / "instance_parameters.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInstance) as caught:
        read_instance(folder)
    assert [(bad.file.name, bad.line) for bad in caught.value.lines] == [
        ("orders.txt", 2),
        ("orders.txt", 2),
        ("couriers.txt", 1),
        ("instance_parameters.txt", 0),
    ]


def test_a_byte_order_mark_and_other_line_ends_are_read(tmp_path: Path) -> None:
    """As a spreadsheet writes the files."""
    instance = one_courier_two_orders()
    folder = write_instance(tmp_path / instance.name, instance)
    for file in folder.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_instance(folder) == instance
