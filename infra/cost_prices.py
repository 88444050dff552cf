"""List prices with the page that each was read from; what could not be read is absent."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("prices")
ANYWHERE = "*"
"""In place of a region: the page names one price for all."""


@dataclass(frozen=True)
class Price:
    """What one unit of something costs in one region, in US dollars, without tax or discount."""

    key: str
    """`machine/m7i.large`, `nat/gateway`: what is paid for."""
    region: str
    unit: str
    """`hour`, `month` or `GB and month`."""
    usd: float
    address: str
    """Page or API that it was read from."""
    read: str
    """When it was read, as a date."""
    published: str = ""
    """When the page says it was written, as a date; empty where it says nothing."""


@dataclass(frozen=True)
class PriceBook:
    """Prices by key and region."""

    prices: Mapping[tuple[str, str], Price]

    def find(self, key: str, region: str) -> Price | None:
        """The price in the region, none where nobody read it."""
        return self.prices.get((key, region)) or self.prices.get((key, ANYWHERE))

    def updated(self, newer: Iterable[Price]) -> "PriceBook":
        """The same with other prices over it."""
        return PriceBook({**self.prices, **{(price.key, price.region): price for price in newer}})


def committed(cloud: str) -> PriceBook:
    """The prices of `aws` or `gcp` that were read when this was written."""
    return _book(json.loads((FOLDER / f"{cloud}.json").read_text(encoding="utf-8")))


def _book(document: Mapping[str, Any]) -> PriceBook:
    sources = document["sources"]
    prices = {}
    for row in document["rows"]:
        source = sources[row["source"]]
        for region, usd in row["usd"].items():
            prices[row["key"], region] = Price(
                row["key"], region, row["unit"], usd, source["address"], source["read"], source["published"]
            )
    return PriceBook(prices)
