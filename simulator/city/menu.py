"""Names of restaurants and what they sell."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

_KINDS = ("Pizzería", "Forno", "Trattoria", "Horno", "Rincón", "Cocina", "Casa", "Picada")
_TOWN = (
    "Elqui",
    "El Faro",
    "Tongoy",
    "La Recova",
    "Peñuelas",
    "Guayacán",
    "Cuatro Esquinas",
    "La Herradura",
    "El Milagro",
)
_PEOPLE = ("Don Nico", "La Nonna", "Doña Inés", "Gabriela", "San Martín", "Balmaceda", "Las Compañías", "Sindempart")
_OWNERS = (*_TOWN, *_PEOPLE)
_PIZZAS = (
    ("margherita", "Pizza Margherita", 7_900),
    ("napolitana", "Pizza Napolitana", 8_900),
    ("quattro", "Quattro Formaggi", 9_900),
    ("diavola", "Pizza Diavola", 9_500),
    ("funghi", "Pizza Funghi", 9_200),
    ("marinara", "Pizza Marinara", 6_900),
    ("calzone", "Calzone", 8_500),
    ("focaccia", "Focaccia", 3_900),
    ("tiramisu", "Tiramisù", 3_500),
    ("agua", "Agua mineral", 1_500),
)


@dataclass(frozen=True, slots=True)
class Item:
    """A line of an order; the price of one, in minor units of the city's currency."""

    sku: str
    name: str
    quantity: int
    price_minor: int


def restaurant_names(count: int, rng: Random) -> list[str]:
    """Different names, as many as asked for."""
    names = [f"{kind} {owner}" for kind in _KINDS for owner in _OWNERS]
    rng.shuffle(names)
    return [names[i % len(names)] + (f" {i // len(names) + 1}" if i >= len(names) else "") for i in range(count)]


def basket(rng: Random) -> tuple[Item, ...]:
    """One to three different things."""
    chosen = rng.sample(_PIZZAS, k=rng.choice((1, 1, 2, 2, 3)))
    return tuple(Item(sku, name, rng.choice((1, 1, 1, 2)), price) for sku, name, price in chosen)
