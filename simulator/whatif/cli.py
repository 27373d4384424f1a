"""`forno replay --log`: is a recording decided again as it was, and what would another policy have done?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.learned import BrokenModel, LearnedTravel
from dispatch.engine.travel.planar import PlanarTravel
from dispatch.recording.recording import BadRecording, Recording, read_recording
from dispatch.recording.rerun import RerunTick, params_of, rerun
from dispatch.shard.params import changed
from node.table import Heading, Number, show
from simulator.whatif.regret import most_delayed, outcome, recorded_fates, regret
from simulator.whatif.script import script_of
from simulator.whatif.world import simulate

#: Ticks named that came out otherwise, and orders that lost most.
_SHOWN = 10
_WORST = 5


@dataclass(slots=True)
class TravelModels:
    """Travel models by the version that ticks name; the road network is loaded when one asks for it."""

    recording: Recording
    roads: Path | None
    _known: dict[str, TravelTimes] = field(default_factory=dict)

    def __call__(self, version: str) -> TravelTimes:
        if not self._known:
            self._add(FreeFlowTravel())
            self._add(PlanarTravel(320))
            self._add(LearnedTravel.ignorant())
        if version not in self._known and version in self.recording.models:
            try:
                self._add(LearnedTravel.unpacked(self.recording.models[version]))
            except BrokenModel as error:
                raise BadRecording(f"travel model {version}: {error}") from error
        if version not in self._known and self.roads is not None:
            from dispatch.engine.travel.network import BrokenNetwork
            from dispatch.engine.travel.road import RoadTravel

            try:
                self._add(RoadTravel.load(self.roads))
            except BrokenNetwork as error:
                raise BadRecording(f"--roads: {error}") from error
        if version not in self._known:
            hint = "" if self.roads else ": name its road network by --roads (a demo keeps its own in ~/.cache/forno)"
            raise BadRecording(f"decided with travel model {version!r}, which is not at hand{hint}")
        return self._known[version]

    def _add(self, model: TravelTimes) -> None:
        self._known[model.version] = model


def replay_log(file: Path, params_file: Path | None, roads: Path | None, *, as_json: bool) -> int:
    """0 if every tick was decided as recorded, else 1. Raises `DispatchError` or `OSError` for what cannot be read."""
    recording = read_recording(file)
    if not recording.ticks:
        raise BadRecording(f"{file} holds no tick")
    models = TravelModels(recording, roads)
    last = recording.ticks[-1]
    params = params_of(recording, last.params_digest)
    other = _other_policy(params, params_file)
    ticks = list(rerun(recording, models))
    report = _report(recording, ticks)
    report |= _policies(recording, ticks, params, other, models(last.travel_version))
    print(json.dumps(report)) if as_json else _show(report)
    return 0 if report["ticks_identical"] == report["ticks"] else 1


def _other_policy(params: EngineParams, file: Path | None) -> EngineParams | None:
    return changed(params, file) if file is not None else None


def _report(recording: Recording, ticks: list[RerunTick]) -> dict[str, Any]:
    different = [{"tick": t.recorded.tick, "differs": t.differs} for t in ticks if t.differs]
    return {
        "city": recording.city,
        "ticks": len(ticks),
        "ticks_identical": len(ticks) - len(different),
        "different": different[:_SHOWN],
        "ticks_told_not_compared": sum(not t.tracks_compared for t in ticks),
        "epochs": len({t.recorded.epoch for t in ticks}),
        "fallbacks": sum(bool(t.recorded.fallback) for t in ticks),
        "offers": sum(len(t.computed.decisions.offers) for t in ticks),
        "domain_s": (ticks[-1].recorded.now_ms - ticks[0].recorded.now_ms) / 1000,
    }


def _policies(
    recording: Recording, ticks: list[RerunTick], params: EngineParams, other: EngineParams | None, travel: TravelTimes
) -> dict[str, Any]:
    script = script_of(recording, ticks)
    same = simulate(script, params, travel)
    else_ = simulate(script, other, travel) if other is not None else None
    recorded = outcome(recorded_fates(ticks), metres_known=False)
    rows = regret(recorded, outcome(same), outcome(else_) if else_ is not None else None)
    lost = most_delayed(same, else_, _WORST) if else_ is not None else ()
    return {"regret": rows, "waited_longer_min": {order_id: round(minutes, 2) for order_id, minutes in lost}}


def _show(report: dict[str, Any]) -> None:
    console = Console()
    ticks, same = report["ticks"], report["ticks_identical"]
    verdict = "every tick decided and told the same" if ticks == same else f"{ticks - same} ticks came out otherwise"
    console.print(
        f"[bold]{report['city']}[/bold]: {ticks} ticks over {report['domain_s']:g} s, {report['offers']} offers, "
        f"{report['epochs']} owners, {report['fallbacks']} fallbacks: {verdict}",
        highlight=False,
    )
    if untold := report["ticks_told_not_compared"]:
        console.print(f"  {untold} ticks of an older version: ETAs and tracks not compared", highlight=False)
    for tick in report["different"]:
        console.print(f"  tick {tick['tick']}: another {tick['differs']}", highlight=False)
    rows = report["regret"]
    columns = list(next(iter(rows.values())))
    headings: list[Heading] = ["figure", *(Number(column.replace("_", " ")) for column in columns)]
    cells = [[name, *("–" if row[c] is None else f"{row[c]:g}" for c in columns)] for name, row in rows.items()]
    show("", headings, cells)
    console.print("recorded is what happened; the others are lived in one modelled world", style="dim")
    if waited := report["waited_longer_min"]:
        longer = [[order_id, f"{minutes:g} min"] for order_id, minutes in waited.items()]
        show("Waited longer than under the other policy", ("order", Number("longer")), longer)
