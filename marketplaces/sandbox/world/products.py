"""The range of the two demo brands: articles with weight, cost and price per site, one in a hundred unknown to us."""

from __future__ import annotations

from random import Random

from .model import Product

_KINDS = {
    "home_kitchen": (
        "Alba",
        ("Bratpfanne", "Kochtopf", "Messerblock", "Vorratsdose", "Küchenwaage", "Schneidebrett", "Auflaufform"),
        (1290, 8990),
        (180, 4200),
    ),
    "lighting": (
        "Alba",
        ("Pendelleuchte", "Tischlampe", "LED-Strip", "Wandleuchte", "Stehlampe"),
        (1490, 9990),
        (200, 4800),
    ),
    "beauty": ("Alba", ("Bambus-Bürste", "Kosmetikspiegel", "Seifenschale", "Handtuch-Set"), (690, 3490), (90, 700)),
    "sports": (
        "Corvo",
        ("Trinkflasche", "Yogamatte", "Hantel-Set", "Springseil", "Stirnlampe", "Rucksack"),
        (990, 7990),
        (120, 6500),
    ),
    "tools": (
        "Corvo",
        ("Schraubendreher-Satz", "Wasserwaage", "Bohrer-Set", "Werkzeugkoffer", "Zange", "Maßband"),
        (890, 11990),
        (150, 9000),
    ),
}
_VARIANTS = ("Größe S", "Größe M", "Größe L", "schwarz", "weiß", "grün", "Duo", "Pro", "Classic", "Mini")
_SHARES = (("home_kitchen", 30), ("lighting", 15), ("beauty", 10), ("sports", 22), ("tools", 23))
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def make_products(seed: int, count: int) -> list[Product]:
    """`count` known articles and one unknown offer for every hundred of them, at least two."""
    rng = Random(f"{seed}:products")
    unknown = max(2, count // 100)
    products = [_product(rng, number, mapped=True) for number in range(count)]
    for number in range(unknown):
        # Among the better sellers (the list is in order of popularity), so that they do get ordered.
        products.insert(12 + 30 * number, _product(rng, count + number, mapped=False))
    return products


def _product(rng: Random, number: int, *, mapped: bool) -> Product:
    category = rng.choices([name for name, _ in _SHARES], [share for _, share in _SHARES])[0]
    brand, nouns, prices, weights = _KINDS[category]
    eur = _price(rng, category, *prices)
    cheap_beauty = category == "beauty" and eur <= 1000
    sku = f"{brand[:2].upper()}-{category[:2].upper()}-{number:04d}" if mapped else f"ALT-{rng.randrange(10**6):06d}"
    return Product(
        sku=sku,
        ean=_ean(rng),
        asin="B0" + "".join(rng.choices(_BASE36, k=8)),
        brand=brand,
        title=f"{brand} {rng.choice(nouns)} {rng.choice(_VARIANTS)}",
        category=category,
        weight_g=int(rng.uniform(weights[0] ** 0.5, weights[1] ** 0.5) ** 2),
        cost_cents=max(100, int(eur * rng.uniform(0.18, 0.38))),
        cost_currency="EUR" if brand == "Alba" else "USD",
        warehouse="BER1" if rng.random() < 0.7 else "LYS1",
        is_fba=cheap_beauty or rng.random() < 0.6,
        mapped=mapped,
        offer_id=200_000 + number,
        prices=_prices(rng, eur, cheap_beauty, number),
    )


def _price(rng: Random, category: str, low: int, high: int) -> int:
    cents = int(rng.uniform(low**0.5, high**0.5) ** 2) // 100 * 100 + 90
    # Beauty has a fee step at 10.00: stay clear of it, so that line and unit price fall into the same band.
    return 1290 if category == "beauty" and 900 < cents < 1290 else cents


def _prices(rng: Random, eur: int, cheap_beauty: bool, number: int) -> dict[str, int]:
    prices = {"amazon.de": eur, "amazon.fr": eur if cheap_beauty else eur + 100 * rng.randrange(0, 3)}
    on_us, on_au = rng.random() < 0.62, rng.random() < 0.58
    if on_us or number % 7 == 0:
        prices["amazon.com"] = 890 if cheap_beauty else eur * 110 // 100 // 100 * 100 + 199
    if on_au or number % 7 == 3:
        prices["bunnings.com.au"] = eur * 170 // 100 // 100 * 100 + 95
    if number % 3 != 1:
        prices["otto.de"] = eur + 100 * (number % 4)
    return prices


def _ean(rng: Random) -> str:
    digits = "4260" + "".join(rng.choices("0123456789", k=8))
    odd, even = sum(map(int, digits[::2])), sum(map(int, digits[1::2]))
    return digits + str(-(odd + 3 * even) % 10)
