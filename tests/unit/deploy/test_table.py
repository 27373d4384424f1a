"""What `forno up` shows."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from deploy.stack import manifest
from deploy.stack.manifest import Manifest, Row
from deploy.stack.table import Screen, shown_address, table


def _running(name: str, address: str, note: str = "") -> Row:
    return Row(name, "kind-of-it", "running", "7.0", address, 4711, 0, note, f"/stack/logs/{name}.log")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://forno:secret@127.0.0.1:1234", "postgresql://forno@127.0.0.1:1234"),
        ("redis://127.0.0.1:1234/0", "redis://127.0.0.1:1234/0"),
        ("mongodb://127.0.0.1:1234/?directConnection=true", "mongodb://127.0.0.1:1234/"),
        ("127.0.0.1:1234", "127.0.0.1:1234"),
    ],
)
def test_passwords_and_queries_are_not_shown(address: str, shown: str) -> None:
    """The address of the table lacks the password and the query, and nothing else."""
    assert shown_address(address) == shown


def test_the_table_says_what_runs_where() -> None:
    """Name, kind, version, state, address, pid and log file of each part."""
    manifest = Manifest(1, "/stack", {}, (_running("redis", "redis://127.0.0.1:1234/0"),))
    row = _lines(manifest, 160)[-1].split()
    assert row == ["redis", "kind-of-it", "7.0", "running", "redis://127.0.0.1:1234/0", "4711", "logs/redis.log"]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (160, ["name", "kind", "version", "state", "address", "pid", "log"]),
        (95, ["name", "kind", "version", "state", "address", "pid"]),
        (76, ["name", "kind", "version", "state", "address"]),
        (70, ["name", "version", "state", "address"]),
        (58, ["name", "state", "address"]),
    ],
)
def test_a_narrow_terminal_does_without_the_lesser_columns(width: int, columns: list[str]) -> None:
    """One line a part, and its address whole, however many columns there is room for."""
    parts = [("postgres", "postgresql://forno:s@127.0.0.1:21001"), ("mongo", "mongodb://127.0.0.1:21002/?direct=true")]
    manifest = Manifest(1, "/stack", {}, tuple(_running(name, address) for name, address in parts))
    title, head, *rows = _lines(manifest, width)
    assert title == "Forno in /stack"
    assert head.split() == columns
    assert [row.split()[0] for row in rows] == ["postgres", "mongo"]
    assert all(shown_address(address) in row for row, (_, address) in zip(rows, parts, strict=True))


def test_a_long_note_wraps_before_an_address_does() -> None:
    """What a part is doing just now may take many words."""
    manifest = Manifest(1, "/stack", {}, (_running("kafka", "kafka.example.org:21003", "fetching: " + "a jar, " * 20),))
    assert any("kafka.example.org:21003" in line for line in _lines(manifest, 60))


def _lines(manifest: Manifest, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(table(manifest, width))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_without_a_terminal_each_change_is_one_line() -> None:
    """Progress is shown when it changes, and only then."""
    console = Console(file=io.StringIO(), width=160)
    with Screen(console) as screen:
        for note in ("fetching: 1 jars", "fetching: 1 jars", ""):
            screen.show(Manifest(1, "/stack", {}, (_running("kafka", "127.0.0.1:1", note),)))
    assert isinstance(console.file, io.StringIO)
    lines = [line.split(" ", 1)[1] for line in console.file.getvalue().splitlines()]
    assert lines == ["kafka: fetching: 1 jars, pid 4711", "kafka: running, pid 4711"]


def test_what_runs_where_is_read_as_it_was_written(tmp_path: Path) -> None:
    """`stack.json` gives back what was written; a folder without one has no stack."""
    assert manifest.read(tmp_path) is None
    written = Manifest(4711, str(tmp_path), {"FORNO_KAFKA_URL": "127.0.0.1:1"}, (_running("kafka", "x:1"),))
    written.write(tmp_path / "stack.json")
    assert manifest.read(tmp_path) == written
