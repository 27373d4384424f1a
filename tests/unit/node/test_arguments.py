"""Bad arguments of every verb and entry point: refused in one line, with exit code 2, before anything is asked."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from node import arguments
from node.cli import VERBS, main

ORDER = "019f6d3e-7c2a-7b41-9f2e-0c774d1b5a3c"
NEAR = "trails near --city la-serena --at 5 --lat 1 --lng 1"
#: `{file}` is a file that can be read, `{folder}` an empty folder.
BAD = [
    "demo --seconds nan",
    "demo --seconds inf",
    "demo --seconds -1",
    "demo --riders 1e3",
    "demo --orders-per-hour 0",
    "demo --seed 99999999999999999999",
    "demo --report {folder}",
    "demo --report {folder}/none/report.json",
    "demo --instance {file}",
    "demo --dir {file}",
    "up --dir {file}",
    "up --kafka pigeon",
    "replay {folder}/none",
    "replay {file}",
    "replay --log {folder}",
    "replay --log {file} --params {folder}/none.json",
    "replay --log {file} --roads {folder}",
    "replay {folder} --solution {file}",
    "log dump la-serena {folder}",
    "log dump la-serena {folder}/town.forno --minutes nan",
    "log dump la-serena {folder}/town.forno --minutes 0",
    "log dump la-serena {folder}/none/town.forno",
    "log dump la-serena {folder}/town.forno --kafka nohost",
    "shards plan --target -1",
    "shards plan --target nan",
    "shards apply -7",
    "shards apply 9223372036854775808",
    "shards move la\tserena shard-1",
    "shards list --router nowhere",
    "shards list --router host:99999",
    "cities show atlantis",
    "cities history La-Serena",
    "cities publish {folder}",
    "cities publish {folder}/none.geojson",
    "db rollback",
    "orders get not-an-order",
    "orders get 019f6d3e-7c2a-4b41-9f2e-0c774d1b5a3c",
    "orders recent la-serena --hours 0",
    "orders recent la-serena --hours inf",
    "orders archive --older-than-months -1",
    "orders archive --older-than-months 9999999999999999999999",
    f"orders refund {ORDER} --amount 0",
    f"orders refund {ORDER} --amount 1.5",
    f"orders refund {ORDER} --key x",
    f"orders refund {ORDER} --key=",
    f"orders refund {ORDER} --reason {'x' * 201}",
    "orders refund 7",
    f"explain {'x' * 129}",
    f"explain {ORDER} --router :70",
    "trails where --city la-serena --rider 0 --at 5",
    "trails where --city la-serena --rider 1 --at yesterday",
    "trails where --city la-serena --rider 1 --at 99999999999999999",
    "trails where --city la-serena --rider 1 --at 0001-01-01",
    "trails distance --city la-serena --rider 99999999999999999999 --from 1 --to 2",
    "trails near --city la-serena --at 5 --lat nan --lng 1",
    "trails near --city la-serena --at 5 --lat 91 --lng 1",
    "trails near --city la-serena --at 5 --lat 1 --lng -181",
    f"{NEAR} --radius inf",
    f"{NEAR} --radius 20001",
    f"{NEAR} --limit 0",
    "token user ana --ttl 1e3",
    "token user ana --key {folder}",
    "token rider x --city la-serena",
    "token nobody ana",
    "bench page {folder}",
    "bench page {file} --out {folder}",
    "bench orders --seconds nan",
    "bench scale --cities 0",
    "bench scale --from {folder}/none.json",
    "bench eta --days 0",
    "bench eta --jobs -2",
    "bench move --riders 0",
    "bench move --fixes nan",
    "bench motion --seconds 0",
    "bench motion --only nothing",
    "bench soak --riders many",
    "bench borders --orders 0",
    "bench borders --instances {folder}/none",
    "bench dispatch --jobs 0",
    "bench dispatch --instances {file}",
]


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], list[str]]:
    """Puts the paths of a file and of a folder into the words of a command."""
    file, folder = tmp_path / "file.json", tmp_path / "folder"
    file.write_text("{}")
    folder.mkdir()
    return lambda line: [word.format(file=file, folder=folder) for word in line.split(" ")]


@pytest.mark.parametrize("line", BAD)
def test_a_bad_argument_is_refused_in_one_line(
    line: str, place: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, nothing printed, one line that begins with the command and is no traceback."""
    monkeypatch.delenv("FORNO_JWT_PRIVATE_KEY_FILE", raising=False)
    with pytest.raises(SystemExit) as left:
        main(place(line))
    printed, said = capsys.readouterr()
    assert (left.value.code, printed, said.count("\n")) == (2, "", 1)
    assert said.startswith(f"forno {line.split()[0]}")
    assert "Traceback" not in said


def test_every_verb_is_in_the_table() -> None:
    """A new verb gets its rows."""
    assert {line.split()[0] for line in BAD} == set(VERBS)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("benchmarks.load.__main__", "--seconds 0"),
        ("benchmarks.load.__main__", "--users nan"),
        ("benchmarks.orders.place", "127.0.0.1:1 --rate -1"),
        ("benchmarks.orders.place", "nowhere"),
        ("benchmarks.motion.riders", "--riders 0"),
        ("benchmarks.motion.websocket_readers", "--orders -3"),
        ("benchmarks.motion.edge", "--serve edge --keys /nowhere --batch 1"),
        ("benchmarks.motion.pushes", "--serve live --keys /nowhere"),
        ("simulator.demo.picture", "/nowhere/picture.png"),
        ("deploy.stack.measure", "--kafka pigeon"),
    ],
)
def test_entry_points_refuse_the_same_way(
    module: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are started by `python -m`."""
    monkeypatch.setattr(sys, "argv", [module, *words.split()])
    entry = importlib.import_module(module).main
    with pytest.raises(SystemExit) as left:
        entry(words.split()) if entry.__code__.co_argcount else entry()
    said = capsys.readouterr().err
    assert (left.value.code, said.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("kind", "good", "value"),
    [
        (arguments.whole(0, 10), "007", 7),
        (arguments.whole(-5, 10), "-5", -5),
        (arguments.whole(1, arguments.MAX_RIDER), "18446744073709551615", 2**64 - 1),
        (arguments.number(0, 1), ".5", 0.5),
        (arguments.number(0, 1), "1e-3", 0.001),
        (arguments.address, "[::1]:7000", "[::1]:7000"),
        (arguments.name, "Ñuñoa-1", "Ñuñoa-1"),
        (arguments.text(3), "a b", "a b"),
    ],
)
def test_good_arguments_are_taken(kind: Callable[[str], object], good: str, value: object) -> None:
    """As they are meant."""
    assert kind(good) == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1_0", " 1", "1.2.3", "٣", "0x10", "1e999", "--"])
def test_what_python_takes_for_a_number_is_none_here(text: str) -> None:
    """Neither whole nor any."""
    for kind in (arguments.whole(0, 100), arguments.number(0, 100)):
        with pytest.raises(argparse.ArgumentTypeError):
            kind(text)


def test_a_complaint_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was typed."""
    with pytest.raises(SystemExit):
        arguments.Parser(prog="forno x").parse_args(["a\nb\x1b[2J"])
    said = capsys.readouterr().err
    assert said == "forno x: unrecognized arguments: a\\nb\\x1b[2J (`forno x --help` tells more)\n"
