"""The file of parameters: what differs from the defaults, errors with the path of the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dispatch.engine.params import EngineParams
from dispatch.errors import InvalidParams
from dispatch.shard.params import load_params


def test_only_what_is_named_differs(tmp_path: Path) -> None:
    """A group's field changes, its neighbours stay."""
    file = tmp_path / "params.json"
    file.write_text(json.dumps({"version": "slow", "offers": {"timeout_s": 90}}))
    params = load_params(file)
    assert (params.version, params.offers.timeout_s) == ("slow", 90)
    assert params.offers.lead_s == EngineParams().offers.lead_s
    assert load_params(None) == EngineParams()


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ({"offers": {"timeout": 90}}, "params.offers.timeout "),
        ({"offers": 3}, "params.offers "),
        ({"rebundle": 1}, "params.rebundle "),
        ({"offers": {"timeout_s": "long"}}, "params.offers.timeout_s "),
        ({"offers": {"timeout_s": -1}}, "timeout_s"),
        ([], "params "),
        ({"prepositioning": {"on": True}}, r"params\.prepositioning\.on"),
    ],
    ids=["unknown key", "no object", "number for a bool", "word for a number", "out of range", "a list", "not live"],
)
def test_a_wrong_value_is_named(tmp_path: Path, plain: Any, says: str) -> None:
    """The path of the key is in the message."""
    file = tmp_path / "params.json"
    file.write_text(json.dumps(plain))
    with pytest.raises(InvalidParams, match=says):
        load_params(file)


def test_no_json(tmp_path: Path) -> None:
    """A broken file is named."""
    file = tmp_path / "params.json"
    file.write_text("{")
    with pytest.raises(InvalidParams, match=r"params\.json"):
        load_params(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"offers": {"timeout_s": NaN}}', r"offers\.timeout_s: must be a finite number"),
        ('{"offers": {"timeout_s": 1e999}}', r"offers\.timeout_s: must be a finite number"),
        ('{"offers": {"timeout_s": 1, "timeout_s": 2}}', r"offers\.timeout_s: is given twice"),
        (
            '{"offers": {"timeout_s": "x", "lead": 1}, "rebundle": 1}',
            r"params\.offers\.timeout_s .*offers\.lead .*rebundle",
        ),
        ('{"version": "a\\u0000"}', "version: holds the character NUL"),
    ],
)
def test_every_fault_of_the_file_is_named(text: str, says: str, tmp_path: Path) -> None:
    """What JSON cannot hold, a key twice, several faults at once; a folder in place of the file."""
    file = tmp_path / "params.json"
    file.write_text(text)
    with pytest.raises(InvalidParams, match=says):
        load_params(file)
    with pytest.raises(InvalidParams, match="cannot be read: Is a directory"):
        load_params(tmp_path)
