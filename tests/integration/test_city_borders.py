"""A border is published to a running router: kept as a version, heard by followers, refused when it must be."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import shapely
import structlog

from deploy.stack.stack import LocalStack
from shard_router.cities.border_follower import BorderFollower
from shard_router.cities.catalogue import City, load_cities
from shard_router.cities.cli import main
from shard_router.client import Directory
from tests.integration.dispatch_world import dispatch_world


async def cities_verb(router: str, *words: str) -> tuple[int | None, str, str]:
    """Exit code, standard output and standard error of `forno cities`."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "node.cli", "cities", *words, "--router", router)
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    printed, said = await process.communicate()
    return process.returncode, printed.decode(), said.decode()


async def test_a_border_is_published_followed_and_kept(stack: LocalStack, fresh_database: str, tmp_path: Path) -> None:
    """Coquimbo gives up its south, a follower hears of it; La Serena cannot take what is not given up."""
    async with dispatch_world(stack, fresh_database, tmp_path, cities=0) as world, world.router() as router:
        heard: asyncio.Queue[tuple[City, ...]] = asyncio.Queue()
        log = structlog.get_logger()
        directory = Directory(router, log)
        await directory.start()
        follower = BorderFollower(router, directory, heard.put_nowait, log)
        async with asyncio.TaskGroup() as following:
            tasks = [following.create_task(directory.run()), following.create_task(follower.run())]
            code, shown, _ = await cities_verb(router, "show", "coquimbo")
            assert code == 0
            border = json.loads(shown)
            north = [[lng, max(lat, -30.05)] for lng, lat in border["geometry"]["coordinates"][0]]
            border["geometry"]["coordinates"] = [north]
            file = tmp_path / "coquimbo.geojson"
            file.write_text(json.dumps(border))

            code, done, said = await cities_verb(router, "publish", str(file), "--json")
            assert (code, said) == (0, "")
            change = json.loads(done)
            assert change["version"] == 1
            assert change["lost"] > 0
            assert change["won"] == 0
            async with asyncio.timeout(20):
                cities = {city.slug: city for city in await heard.get()}
            shipped = {city.slug: city for city in load_cities()}
            assert len(cities["coquimbo"].cells) == len(shipped["coquimbo"].cells) - change["lost"]
            assert follower.version == 1

            greedy = shipped["la-serena"].feature()
            greedy["geometry"] = {
                "type": "Polygon",
                "coordinates": [
                    [[-71.31, -29.98], [-71.12, -29.98], [-71.12, -29.8], [-71.31, -29.8], [-71.31, -29.98]]
                ],
            }
            file.write_text(json.dumps(greedy))
            code, _, said = await cities_verb(router, "publish", str(file))
            assert code == 1
            assert "overlaps" in said
            code, history, _ = await cities_verb(router, "history", "coquimbo", "--json")
            assert [row["version"] for row in json.loads(history)] == [1]
            for task in tasks:
                task.cancel()
        await follower.close()
        await directory.close()
        connection = await asyncpg.connect(fresh_database)
        assert await connection.fetchval("select count(*) from router.borders") == 1
        await connection.close()


def santiago(**changes: Any) -> dict[str, Any]:
    """The shipped border of Santiago, with other properties."""
    document = shipped("santiago").feature()
    return {**document, "properties": document["properties"] | changes}


def shipped(slug: str) -> City:
    """A city of the catalogue."""
    return next(city for city in load_cities() if city.slug == slug)


def fine(city: City, step_deg: float) -> dict[str, Any]:
    """The city's feature with a point at least every so many degrees."""
    feature = city.feature()
    feature["geometry"] = dict(shapely.geometry.mapping(shapely.segmentize(city.polygon, step_deg)))
    return feature


async def says(capsys: pytest.CaptureFixture[str], router: str, *words: str) -> tuple[int, str, str]:
    """As `cities_verb`, without the start of a process."""
    code = await asyncio.to_thread(main, [*words, "--router", router])
    return code, *capsys.readouterr()


WHOLE = json.dumps(santiago())


async def test_bad_documents_are_refused_with_their_fields(
    stack: LocalStack, fresh_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never as an outage, never as a traceback, never published."""
    longitude = str(santiago()["geometry"]["coordinates"][0][2][0])
    refused = {
        "a null time zone": (json.dumps(santiago(time_zone=None)), "properties.time_zone"),
        "a folder of time zones": (json.dumps(santiago(time_zone="America")), "properties.time_zone"),
        "a time zone of the posix tree": (json.dumps(santiago(time_zone="posix/UTC")), "properties.time_zone"),
        "a centre beyond doubles": (WHOLE.replace(str(santiago()["properties"]["center"][1]), "1e400"), "center[1]"),
        "a coordinate beyond doubles": (WHOLE.replace(longitude, "-1e999", 1), "geometry.coordinates[0][2][0]"),
        "no features": ('{"type": "FeatureCollection", "features": null}', "features"),
        "no geometry": (json.dumps({**santiago(), "geometry": None}), "geometry"),
        "NaN in a property": (json.dumps(santiago(population=float("nan"))), "properties.population"),
        "NUL in a property": (json.dumps(santiago(note="a\0b")), "properties.note"),
        "half a surrogate pair": (json.dumps(santiago(note="\ud83d")), "properties.note"),
        "half a surrogate pair in a name": (json.dumps(santiago(**{"\udc00": 1})), "properties"),
        "a name that is an object": (json.dumps(santiago(name={"es": "Santiago"})), "properties.name"),
        "another name and country": (json.dumps(santiago(name="Elsewhere", country="JP")), "properties.country"),
        "another centre": (json.dumps(santiago(center=[-70.6, -33.4])), "properties.center"),
        "a key twice": (WHOLE.replace('"currency"', '"country": "CL", "currency"'), "properties.country"),
        "not JSON": ("{", "is no JSON"),
        "too deep": ("[" * 5_000, "nested"),
    }
    async with dispatch_world(stack, fresh_database, tmp_path, cities=0) as world, world.router() as router:
        for label, (text, named) in refused.items():
            file = tmp_path / "bad.geojson"
            file.write_text(text)
            code, printed, said = await says(capsys, router, "publish", str(file))
            assert (code, printed) == (1, ""), (label, said)
            assert said.count("\n") == 1, (label, said)
            assert named in said, (label, said)
            assert said.endswith("[BAD_CITY]\n"), (label, said)
        connection = await asyncpg.connect(fresh_database)
        assert await connection.fetchval("select count(*) from router.borders") == 0
        await connection.close()


async def test_honest_documents_are_published(
    stack: LocalStack, fresh_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a byte order mark, as a collection, with a property of no use, and of several megabytes."""
    huge = fine(shipped("new-york"), 0.00001)
    assert len(json.dumps(huge)) > 3 << 20
    documents: list[tuple[bytes, str]] = [
        (b"\xef\xbb\xbf" + WHOLE.encode(), ""),
        (json.dumps({"type": "FeatureCollection", "features": [santiago()]}).encode(), ""),
        (json.dumps(santiago(note="\U0001f355")).encode(), "properties.note: has no use here"),
        (json.dumps(huge).encode(), ""),
    ]
    async with dispatch_world(stack, fresh_database, tmp_path, cities=0) as world, world.router() as router:
        for version, (data, warned) in enumerate(documents, 1):
            file = tmp_path / "honest.geojson"
            file.write_bytes(data)
            code, printed, said = await says(capsys, router, "publish", str(file), "--json")
            assert (code, warned in said) == (0, True), said
            assert json.loads(printed)["version"] == version
        code, shown, said = await says(capsys, router, "show", "new-york")
        assert (code, said) == (0, "")
        assert shapely.get_num_coordinates(shapely.geometry.shape(json.loads(shown)["geometry"])) > 60_000


async def test_a_history_far_over_one_message_is_read_in_pages(
    stack: LocalStack, fresh_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some 20 MB of old borders: list, show, history and a follower that starts anew all have the newest."""
    async with dispatch_world(stack, fresh_database, tmp_path, cities=0) as world, world.router() as router:
        north = santiago()
        north["geometry"]["coordinates"] = [
            [[lng, max(lat, -33.6)] for lng, lat in shipped("santiago").border()["coordinates"][0]]
        ]
        file = tmp_path / "border.geojson"
        file.write_text(json.dumps(north))
        assert (await says(capsys, router, "publish", str(file)))[0] == 0
        connection = await asyncpg.connect(fresh_database)
        await connection.execute(
            "insert into router.borders (city, feature, actor) "
            "select 'berlin', $1::jsonb, 'ana' from generate_series(1, 40)",
            json.dumps(fine(shipped("berlin"), 0.00008)),
        )
        assert await connection.fetchval("select sum(length(feature::text)) from router.borders") > 16 << 20
        await connection.close()
        code, listed, said = await says(capsys, router, "list", "--json")
        assert (code, said) == (0, "")
        assert {row["city"]: row["border"] for row in json.loads(listed) if row["border"]} == {
            "santiago": 1,
            "berlin": 41,
        }
        code, history, said = await says(capsys, router, "history", "berlin", "--json")
        assert (code, said, len(json.loads(history))) == (0, "", 40)
        heard: list[tuple[City, ...]] = []
        log = structlog.get_logger()
        directory = Directory(router, log)
        follower = BorderFollower(router, directory, heard.append, log)
        await follower.read_new()
        assert follower.version == 41
        assert next(city for city in heard[0] if city.slug == "santiago").polygon.bounds[1] == -33.6
        await follower.close()
        await directory.close()
