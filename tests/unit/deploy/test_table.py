"""What `forno up` shows."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from deploy.stack import manifest
from deploy.stack.errors import StackError
from deploy.stack.manifest import Manifest, Row
from deploy.stack.table import Screen, table, without_password


def _running(name: str, address: str, note: str = "") -> Row:
    return Row(name, "kind-of-it", "running", "7.0", address, 4711, 0, note, f"/stack/logs/{name}.log")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://forno:secret@127.0.0.1:1234", "postgresql://forno@127.0.0.1:1234"),
        ("redis://127.0.0.1:1234/0", "redis://127.0.0.1:1234/0"),
        ("127.0.0.1:1234", "127.0.0.1:1234"),
    ],
)
def test_passwords_are_not_shown(address: str, shown: str) -> None:
    """The address of the table lacks the password and nothing else."""
    assert without_password(address) == shown


def test_the_table_says_what_runs_where() -> None:
    """Name, kind, version, state, address, pid and log file of each part."""
    console = Console(file=io.StringIO(), width=160)
    console.print(table(Manifest(1, "/stack", {}, (_running("redis", "redis://127.0.0.1:1234/0"),))))
    assert isinstance(console.file, io.StringIO)
    row = console.file.getvalue().splitlines()[-1].split()
    assert row == ["redis", "kind-of-it", "7.0", "running", "redis://127.0.0.1:1234/0", "4711", "logs/redis.log"]


def test_without_a_terminal_each_change_is_one_line() -> None:
    """Progress is shown when it changes, and only then."""
    console = Console(file=io.StringIO(), width=160)
    with Screen(console) as screen:
        for note in ("fetching: 1 jars", "fetching: 1 jars", ""):
            screen.show(Manifest(1, "/stack", {}, (_running("kafka", "127.0.0.1:1", note),)))
    assert isinstance(console.file, io.StringIO)
    lines = [line.split(" ", 1)[1] for line in console.file.getvalue().splitlines()]
    assert lines == ["kafka: fetching: 1 jars, pid 4711", "kafka: running, pid 4711"]


def test_other_commands_find_a_running_stack(tmp_path: Path) -> None:
    """`stack.json` gives back what was written, and tells a running stack from a dead or a missing one."""
    with pytest.raises(StackError, match="no stack runs in"):
        manifest.read(tmp_path)
    written = Manifest(os.getpid(), str(tmp_path), {"FORNO_KAFKA_URL": "127.0.0.1:1"}, (_running("kafka", "x:1"),))
    written.write(tmp_path / "stack.json")
    assert manifest.read(tmp_path) == written
    Manifest(2**22 + 1, str(tmp_path), {}, ()).write(tmp_path / "stack.json")
    with pytest.raises(StackError, match="is gone"):
        manifest.read(tmp_path)
