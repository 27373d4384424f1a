"""Frames as they go over the wire: JSON, and around it the WebSocket header.

A frame is built once however many sockets get it, header included, and handed to the transport as it is
(RFC 6455 §5.2: a server's frames are not masked, and we negotiate no extension).
"""

from __future__ import annotations

from typing import Any

import h3.api.basic_int as h3
import orjson

from gateway.live.model import LiveFix, Place, RiderFix

_E7 = 10_000_000
#: Cells of about 0.74 km²: a neighbourhood, not a street.
CELL_RES = 8
_FIN_TEXT = 0x81


def text_frame(payload: bytes) -> bytes:
    """A whole unmasked text frame."""
    size = len(payload)
    if size < 126:
        return bytes((_FIN_TEXT, size)) + payload
    if size < 65536:
        return bytes((_FIN_TEXT, 126, size >> 8, size & 255)) + payload
    return bytes((_FIN_TEXT, 127)) + size.to_bytes(8, "big") + payload


def json_frame(value: dict[str, Any]) -> bytes:
    """A JSON object as a frame."""
    return text_frame(orjson.dumps(value))


def exact_frame(fix: LiveFix, epoch: int) -> bytes:
    """A position after pickup. The hot path: by hand, with numbers as JSON has them too (-299045123e-7), which takes a
    quarter of the time of decimal fractions and an eighth of a dict through orjson."""
    return text_frame(
        b'{"type":"position","lat":%de-7,"lng":%de-7,"ts_ms":%d,"heading":%de-2,"eta_ms":%d,"epoch":%d}'
        % (fix.lat_e7, fix.lng_e7, fix.ts_ms, fix.heading_cdeg, fix.eta_ms, epoch)
    )


def cell_of(at: Place) -> int:
    """The res-8 cell of a place."""
    cell: int = h3.latlng_to_cell(at.lat_e7 / _E7, at.lng_e7 / _E7, CELL_RES)
    return cell


def cell_view(cell: int, ts_ms: int) -> dict[str, Any]:
    """A rider before pickup: the cell, its centre, its border; where in the cell is not told."""
    lat, lng = h3.cell_to_latlng(cell)
    border = [[round(b_lng, 6), round(b_lat, 6)] for b_lat, b_lng in h3.cell_to_boundary(cell)]
    return {
        "cell": h3.int_to_str(cell),
        "lat": round(lat, 6),
        "lng": round(lng, 6),
        "border": border,
        "ts_ms": ts_ms,
    }


def exact_view(fix: RiderFix, heading: float | None) -> dict[str, Any]:
    """A rider after pickup."""
    return {**place(fix.at), "ts_ms": fix.ts_ms, "heading": heading}


def place(at: Place) -> dict[str, float]:
    """A place in degrees."""
    return {"lat": at.lat_e7 / _E7, "lng": at.lng_e7 / _E7}
