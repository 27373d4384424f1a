"""Check the GeoJSON feature of a city whole, before anything of it is used.

Properties `city, name, country, time_zone, currency, center` are required and say what a city is; others are of no use
here and named to whoever publishes them. The geometry is checked in `shard_router.cities.polygons`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from node.documents import BadDocument, Flaw, model_flaws, named, parse_json
from node.errors import Invalid

#: A document of a border is at most so long; clients and server are set up to carry that much.
MAX_DOCUMENT_BYTES: Final = 16 << 20
#: Limit of a message that carries a border: a document and its envelope.
MAX_MESSAGE_BYTES: Final = MAX_DOCUMENT_BYTES + (1 << 16)

_ZONE: Final = re.compile(r"[A-Za-z][\w+-]*(/[\w+-]+){0,2}", re.ASCII)
#: Names in the folder of time zones that stand for no place.
_NO_ZONES: Final = ("posix/", "right/", "localtime", "Factory", "posixrules")


class BadCity(Invalid):
    """A city of the catalogue cannot be what its description says."""

    def __init__(self, city: str, problem: str) -> None:
        super().__init__("city", f"{city}: {problem}", reason="BAD_CITY")


def is_time_zone(name: str) -> bool:
    """Whether the name is one of a place in the time zone database, in its own spelling."""
    if not _ZONE.fullmatch(name) or name.startswith(_NO_ZONES):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder such as "America" is an OSError
        return False
    return True


def _time_zone(name: str) -> str:
    if not is_time_zone(name):
        raise ValueError("is no time zone of the tz database, such as America/Santiago")
    return name


def _without_altitude(position: Any) -> Any:
    return position[:2] if isinstance(position, list | tuple) and len(position) == 3 else position


_Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
_Latitude = Annotated[float, Field(gt=-90, lt=90, allow_inf_nan=False)]
_Position = Annotated[tuple[_Longitude, _Latitude], Field(strict=False), BeforeValidator(_without_altitude)]
# Not strict about lists: shapely writes geometries as tuples.
_Ring = Annotated[list[_Position], Field(min_length=4, strict=False)]
_Rings = Annotated[list[_Ring], Field(min_length=1, strict=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Polygon(_Strict):
    type: Literal["Polygon"]
    coordinates: _Rings


class _MultiPolygon(_Strict):
    type: Literal["MultiPolygon"]
    coordinates: Annotated[list[_Rings], Field(min_length=1, strict=False)]


class CityProperties(_Strict):
    """Properties of a city beside its border. `center` is (longitude, latitude)."""

    city: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    name: str = Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")
    country: str = Field(pattern="^[A-Z]{2}$")
    time_zone: Annotated[str, AfterValidator(_time_zone)]
    currency: str = Field(pattern="^[A-Z]{3}$")
    center: _Position


class CityFeature(_Strict):
    """A GeoJSON feature of the catalogue."""

    type: Literal["Feature"]
    properties: CityProperties
    geometry: Annotated[_Polygon | _MultiPolygon, Field(discriminator="type")]


def city_feature(document: Any) -> CityFeature:
    """The feature of a GeoJSON document: a feature, or a collection of one. Raises `BadCity`, naming every fault."""
    prefix, feature = _only_feature(document)
    try:
        return CityFeature.model_validate(feature)
    except ValidationError as error:
        flaws = model_flaws(error, tags=("Polygon", "MultiPolygon"))
        raise BadCity(_slug(feature), named([Flaw(prefix + flaw.path, flaw.problem) for flaw in flaws])) from error


def unused_properties(document: Any) -> list[str]:
    """Paths of the properties of a sound document that are of no use here."""
    prefix, feature = _only_feature(document)
    return [f"{prefix}properties.{name}" for name in feature["properties"] if name not in CityProperties.model_fields]


def parse_document(text: str) -> Any:
    """The JSON of a city's document. Raises `BadCity`, naming every fault."""
    if len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise BadCity("document", f"is larger than {MAX_DOCUMENT_BYTES:,} bytes: simplify the border by some metres")
    try:
        return parse_json(text)
    except BadDocument as error:
        raise BadCity("document", named(error.flaws)) from error


def _only_feature(document: Any) -> tuple[str, Any]:
    """The one feature of a document, and where it stands in it."""
    if not isinstance(document, dict):
        raise BadCity("document", f"must be a GeoJSON feature, is a {type(document).__name__}")
    if document.get("type") != "FeatureCollection":
        return "", document
    features = document.get("features")
    if not isinstance(features, list):
        raise BadCity("document", "features: must be a list of one feature")
    if len(features) != 1:
        raise BadCity("document", f"features: holds {len(features)} features; publish one city at a time")
    return "features[0].", features[0]


def _slug(feature: Any) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    slug = properties.get("city") if isinstance(properties, dict) else None
    return slug if isinstance(slug, str) and slug.isprintable() and slug else "a city without a name"
