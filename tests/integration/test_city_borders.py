"""A border is published to a running router: kept as a version, heard by followers, refused when it must be."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import asyncpg
import structlog

from deploy.stack.stack import LocalStack
from shard_router.borders import BorderFollower
from shard_router.cities import City, load_cities
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
