"""The public JSON shapes. Their schemas make `/openapi.json`; unknown fields in a request are refused, not ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, description="latitude, degrees WGS84")]
Lng = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, description="longitude, degrees WGS84")]
DomainMs = Annotated[int, Field(description="milliseconds since the epoch on the city's clock (`/v1/config`)")]
Minor = Annotated[int, Field(description="integer minor units of the currency")]
Status = Literal[
    "placed",
    "authorised",
    "accepted",
    "assigned",
    "picked_up",
    "delivered",
    "completed",
    "cancelled",
    "declined",
    "failed",
]


class Body(BaseModel):
    """Base of what a client sends."""

    model_config = ConfigDict(extra="forbid", strict=False)


class Answer(BaseModel):
    """Base of what a client gets."""


class LatLng(Body):
    lat: Lat
    lng: Lng


class Restaurant(Body):
    restaurant_id: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=120)
    lat: Lat
    lng: Lng
    preparation_s: int = Field(ge=0, le=4 * 3600, description="what the kitchen says it needs, seconds")


class Item(Body):
    sku: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=120)
    quantity: int = Field(ge=1, le=99)
    price_minor: int = Field(ge=0, le=10**12, description="price of one, integer minor units")


class QuoteBody(Body):
    """Items that a customer would like to have."""

    city: str = Field(min_length=1, max_length=64)
    restaurant: Restaurant
    dropoff: LatLng
    items: list[Item] = Field(min_length=1, max_length=100)
    tip_minor: int = Field(0, ge=0, le=10**12)


class OrderBody(QuoteBody):
    """An order. Send the header Idempotency-Key: the same key and body give the same order, however often."""

    payment_token: str = Field(
        min_length=1, max_length=255, description="a token of the payment provider; never a card number"
    )


class CancelBody(Body):
    reason: str = Field("", max_length=200)


class Price(Answer):
    items_minor: Minor
    delivery_fee_minor: Minor
    tip_minor: Minor
    tax_minor: Minor = Field(description="tax on items and delivery")
    tax_included: bool = Field(description="whether the prices hold the tax already; if not, the total adds it")
    total_minor: Minor
    currency: str


class Quote(Answer):
    price: Price
    eta_ms: DomainMs | None = Field(description="expected delivery; null when dispatch could not be asked")
    eta_p90_ms: DomainMs | None


class StatusChange(Answer):
    status: Status
    at_ms: DomainMs
    reason: str


class ActionRequired(Answer):
    """Step the customer has to take before the payment can be authorised (strong customer authentication)."""

    kind: str = Field(description="use_stripe_sdk: hand the secret to the provider's library; redirect_to_url")
    client_secret: str
    redirect_url: str | None


class Order(Answer):
    order_id: str
    city: str
    status: Status
    restaurant: Restaurant
    dropoff: LatLng
    items: list[Item]
    price: Price
    history: list[StatusChange]
    placed_ms: DomainMs
    ready_ms: DomainMs
    promised_ms: DomainMs
    eta_ms: DomainMs | None
    rider_assigned: bool
    refunded_minor: Minor = Field(description="given back so far")
    action_required: ActionRequired | None = Field(description="only in the customer's own calls; null: nothing to do")
    version: int


class Placed(Answer):
    order: Order
    tracking_token: str = Field(description="opens live_url and reads this order; nothing else")
    live_url: str = Field(description="WebSocket of the order; append ?token=<tracking_token>")
    track_url: str = Field(description="the customer's page, to be opened as <track_url>#token=<tracking_token>")


class OrderAnswer(Answer):
    order: Order


class OrderPage(Answer):
    orders: list[Order]
    next_cursor: str | None = Field(description="for ?cursor= of the next page; null on the last one")


class City(Answer):
    city: str
    name: str
    shard_id: str | None = Field(description="owner; null while nobody owns the city")
    epoch: int
    moving_to: str | None
    time_zone: str
    currency: str
    center: LatLng
    polygon: dict[str, Any] | None = Field(description="GeoJSON Polygon or MultiPolygon of the city's border")


class Cities(Answer):
    version: int = Field(description="version of the map of cities")
    cities: list[City]


class ClockLine(Answer):
    """domain = anchor_domain + (wall - anchor_wall) * speed"""

    speed: float
    anchor_wall_ms: int
    anchor_domain_ms: int


class EdgeConfig(Answer):
    """Settings of the pages."""

    live_url: str
    clock: ClockLine
    basemap: bool = Field(description="whether /basemap/roads.geojson is there")


class Health(Answer):
    status: Literal["ready"]


class FaultBody(Answer):
    reason: str = Field(description="a machine's word, stable over releases")
    message: str
    field: str = Field("", description="the field at fault, for bad input")


class Fault(Answer):
    """Answer to every error, with the matching HTTP status."""

    error: FaultBody
