"""The built pages, the basemap and the key set: files held in memory, compressed once, revalidated by ETag."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api import error_answers
from gateway.errors import NotBuilt

_REVALIDATE = "no-cache"
#: Vite puts the content's hash into the names of assets.
_FOREVER = "public, max-age=31536000, immutable"
_KEYS = "public, max-age=300"
_BASEMAP = "public, max-age=3600"
_COMPRESSED = ("text/", "application/json", "application/geo+json", "application/javascript", "image/svg+xml")


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file as it is sent."""

    body: bytes
    gzipped: bytes | None
    media_type: str
    etag: str
    cache_control: str

    def answer(self, request: Request, headers: dict[str, str] | None = None) -> Response:
        """The file, gzipped where the client takes that, or 304 when the client has it."""
        all_headers = {"etag": self.etag, "cache-control": self.cache_control, "vary": "accept-encoding"}
        all_headers |= headers or {}
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=all_headers)
        if self.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            all_headers["content-encoding"] = "gzip"
            return Response(self.gzipped, 200, all_headers, self.media_type)
        return Response(self.body, 200, all_headers, self.media_type)


def held(path: Path, cache_control: str, media_type: str = "") -> HeldFile:
    """Reads a file into memory."""
    kind = media_type or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    body = path.read_bytes()
    gzipped = gzip.compress(body, 6, mtime=0) if kind.startswith(_COMPRESSED) else None
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return HeldFile(body, gzipped, kind, etag, cache_control)


def page_headers(live_url: str) -> dict[str, str]:
    """A page may talk to this server and to live_url, and to nothing else in the world."""
    policy = (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
        f"connect-src 'self' {live_url.rstrip('/')}; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        # A tracking token is in the fragment, which is never sent; the path holds the order's id.
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def routes(web_dir: Path, roads: Path | None, jwks: Path, live_url: str) -> list[BaseRoute]:
    """Pages `/`, `/track/{order_id}` and `/kitchen/{restaurant_id}`, `/assets/…`, the basemap, the key set."""
    headers = page_headers(live_url)
    index = held(web_dir / "index.html", _REVALIDATE) if (web_dir / "index.html").exists() else None
    assets = {path.name: held(path, _FOREVER) for path in sorted(web_dir.glob("assets/*")) if path.is_file()}
    icons = {path.name: held(path, _REVALIDATE) for path in sorted(web_dir.glob("*.svg"))}
    basemap = held(roads, _BASEMAP, "application/geo+json") if roads is not None and roads.exists() else None
    keys = held(jwks, _KEYS, "application/json")

    async def page(request: Request) -> Response:
        if index is None:
            return error_answers.of_error(NotBuilt("the pages were not built: npm ci && npm run build in gateway/web"))
        return index.answer(request, headers)

    return [
        Route("/", page),
        Route("/track/{order_id}", page),
        Route("/kitchen/{restaurant_id}", page),
        Route("/assets/{name}", _file(lambda request: assets.get(request.path_params["name"]))),
        Route("/basemap/roads.geojson", _file(lambda _: basemap)),
        Route("/.well-known/jwks.json", _file(lambda _: keys)),
        Route("/{name}.svg", _file(lambda request: icons.get(f"{request.path_params['name']}.svg"))),
    ]


def _file(find: Callable[[Request], HeldFile | None]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        found = find(request)
        if found is None:
            return error_answers.fault(404, "NOT_FOUND", f"there is no {request.url.path} here")
        return found.answer(request)

    return answer
