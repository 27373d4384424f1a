"""Which travel model a city gets, from the environment to the model."""

from __future__ import annotations

import pytest

from dispatch.boot import travel_settings
from dispatch.config import DispatchSettings
from dispatch.shard.travel import TravelSettings, road_model
from node.settings import load


def test_a_city_may_have_a_model_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others keep the shard's."""
    monkeypatch.setenv("FORNO_TRAVEL", "learned")
    monkeypatch.setenv("FORNO_TRAVEL_BY_CITY", '{"instance": "planar"}')
    travel = travel_settings(load(DispatchSettings))
    assert [travel.kind_of(city) for city in ("instance", "la-serena")] == ["planar", "learned"]


@pytest.mark.parametrize(
    ("value", "said"),
    [('{"instance": "flat"}', "FORNO_TRAVEL_BY_CITY_INSTANCE"), ("planar", "travel_by_city")],
    ids=["no model", "no JSON"],
)
def test_a_wrong_model_stops_the_process(
    value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The setting is named."""
    monkeypatch.setenv("FORNO_TRAVEL_BY_CITY", value)
    with pytest.raises(SystemExit):
        load(DispatchSettings)
    assert said in capsys.readouterr().err


def test_roads_are_loaded_for_one_city_too() -> None:
    """A city on roads needs the file, whatever the others go by."""
    with pytest.raises(ValueError, match="FORNO_ROADS_FILE"):
        road_model(TravelSettings(by_city={"la-serena": "road"}))
    assert road_model(TravelSettings()) is None
