"""Travel models of a recording, found by the version that ticks name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dispatch.engine.travel.learned import LearnedTravel
from dispatch.recording.recording import BadRecording, Recording
from simulator.whatif.cli import TravelModels

NOTHING = Recording("town", "log-1", 0, 3, 0, {}, b"", (), (), ())


def test_learned_models_come_from_the_recording() -> None:
    """One that was learned is unpacked from it; free flow and what nobody has learned yet are known by themselves."""
    learned = replace(LearnedTravel.ignorant(), now=1.25, _version=[])
    recording = replace(NOTHING, models={learned.version: learned.packed()})
    models = TravelModels(recording, None)
    for version in (learned.version, LearnedTravel.ignorant().version, "free-flow-7-1.3"):
        assert models(version).version == version


def test_a_model_that_is_not_at_hand_is_named() -> None:
    """The error says what is missing and, for roads, what to give; damaged bytes are refused as well."""
    models = TravelModels(replace(NOTHING, models={"learned-x": b"rubbish"}), None)
    with pytest.raises(BadRecording, match=r"road-chile.*--roads"):
        models("road-chile")
    with pytest.raises(BadRecording, match="learned-x"):
        models("learned-x")


def test_a_file_that_is_no_road_network_is_named(tmp_path: Path) -> None:
    """Whatever it holds: the error says which file and by which argument it came."""
    file = tmp_path / "roads.npz"
    file.write_bytes(b"rubbish")
    with pytest.raises(BadRecording, match=r"--roads: .*roads\.npz"):
        TravelModels(NOTHING, file)("road-chile")
