"""Orders as Otto knows them: an id nobody can read, a short number for people, and a position for every piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from random import Random
from uuid import UUID

from .model import Line, Order, Product

_LETTERS = "abcdefghijkmnopqrstuvwxyz23456789"


def new_id(rng: Random) -> str:
    """A random id, of an order or a position."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def short(ref: str, length: int = 10) -> str:
    """What people call the thing with this id; Otto prints ten characters on the parcel."""
    digest = sha256(ref.encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:length])


def order_number(order: Order) -> str:
    """The number the buyer knows."""
    return short(order.ref)


def moin(product: Product) -> str:
    """Otto's own id of the article."""
    return f"M{short(product.ean).upper()}"


def pieces(rng: Random, lines: list[Line]) -> Iterator[Line]:
    """One position per physical piece; now and then the seller takes something off each piece of an article."""
    for line in lines:
        discount = line.unit_cents * rng.randrange(5, 16) // 100 if rng.random() < 0.05 else 0
        for _ in range(line.quantity):
            yield replace(line, ref=new_id(rng), quantity=1, discount_cents=discount)
