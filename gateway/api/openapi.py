"""`/openapi.json`, made from the table of endpoints and the models' own schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.api import models
from gateway.api.endpoint import Endpoint

_REF = "#/components/schemas/{model}"


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Forno", "version": version, "description": "Orders and live tracking of food delivery."},
        "paths": paths,
        "components": {
            "schemas": _schemas(endpoints),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    kinds: set[type[BaseModel]] = {models.Fault}
    for endpoint in endpoints:
        kinds.add(endpoint.answer)
        if endpoint.body is not None:
            kinds.add(endpoint.body)
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, definitions = models_json_schema([(kind, "validation") for kind in ordered], ref_template=_REF)
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.about,
        "operationId": endpoint.handle.__name__.rstrip("_"),
        "responses": {
            str(endpoint.status): _content("Done.", endpoint.answer),
            **{str(status): _content(HTTPStatus(status).phrase, models.Fault) for status in endpoint.errors},
        },
    }
    if endpoint.token:
        operation["security"] = [{"token": []}]
    if endpoint.parameters:
        operation["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.where,
                "description": parameter.about,
                "required": parameter.required,
                "schema": parameter.schema,
            }
            for parameter in endpoint.parameters
        ]
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(endpoint.body)}
    return operation


def _content(about: str, kind: type[BaseModel]) -> dict[str, Any]:
    return {"description": about, "content": _json(kind)}


def _json(kind: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=kind.__name__)}}}


def encoded(document: Mapping[str, Any]) -> bytes:
    """The document as JSON."""
    return orjson.dumps(document)
