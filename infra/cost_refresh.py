"""Today's list prices from AWS's price list, asked by the user's own `aws`; kept in the user's cache.

The filters are those that tell one product from its neighbours; an answer that still names two prices is taken for
none. API: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
"""

import datetime
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra.cost_prices import Price
from tools.paths import cache_dir
from tools.problem import Problem, ProblemError

API = "https://api.pricing.us-east-1.amazonaws.com"
Ask = Callable[[list[str]], str]
"""Runs a command and gives what it printed."""

_MACHINE = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "licenseModel": "No License required",
    "capacitystatus": "Used",
}
PRODUCTS: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "eks/cluster": ("AmazonEKS", {"productFamily": "Compute"}, "AmazonEKS-Hours:perCluster"),
    "nat/gateway": ("AmazonEC2", {"productFamily": "NAT Gateway"}, "NatGateway-Hours"),
    "balancer/network": (
        "AWSELB",
        {"productFamily": "Load Balancer-Network", "locationType": "AWS Region"},
        "LoadBalancerUsage",
    ),
    "endpoint/interface": ("AmazonVPC", {"productFamily": "VpcEndpoint"}, "VpcEndpoint-Hours"),
    "address/public": ("AmazonVPC", {}, "PublicIPv4:InUseAddress"),
    "kms/key": ("awskms", {"productFamily": "Encryption Key"}, "KMS-Keys"),
    "disk/gp3": ("AmazonEC2", {"productFamily": "Storage", "volumeApiName": "gp3"}, "EBS:VolumeUsage.gp3"),
}
"""Service, attributes and end of the usage type, by key."""

UNITS = {"kms/": "month", "disk/": "GB and month"}
"""By first part of the key; anything else is paid by the hour."""


def refresh(keys: Iterable[str], region: str, ask: Ask | None = None) -> list[Price]:
    """Today's prices of these keys in the region; those that AWS does not name in one way are left out.

    Raises:
        ProblemError: `aws` is missing or refuses.
    """
    found = []
    for key in sorted(set(keys)):
        usd = _asked(key, region, ask or _run)
        if usd is not None:
            unit = next((unit for first, unit in UNITS.items() if key.startswith(first)), "hour")
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            found.append(Price(key, region, unit, usd, API, today, today))
    return found


def _asked(key: str, region: str, ask: Ask) -> float | None:
    kind, _, name = key.partition("/")
    attributes: Mapping[str, str]
    if kind == "machine":
        service, attributes, usage = "AmazonEC2", {"instanceType": name, **_MACHINE}, f"BoxUsage:{name}"
    elif key in PRODUCTS:
        service, attributes, usage = PRODUCTS[key]
    else:
        return None
    filters = [f"Type=TERM_MATCH,Field={field},Value={value}" for field, value in attributes.items()]
    command = ["aws", "pricing", "get-products", "--region", "us-east-1", "--output", "json"]
    command += ["--service-code", service, "--filters", f"Type=TERM_MATCH,Field=regionCode,Value={region}", *filters]
    products = [json.loads(product) for product in json.loads(ask(command))["PriceList"]]
    rates = {rate for product in products if _is(product, usage) for rate in _rates(product)}
    return rates.pop() if len(rates) == 1 else None


def _is(product: Mapping[str, Any], usage: str) -> bool:
    # Usage types begin with the region's short name: `EUW1-NatGateway-Hours`.
    named = str(product["product"]["attributes"].get("usagetype", ""))
    return named == usage or named.endswith(f"-{usage}")


def _rates(product: Mapping[str, Any]) -> list[float]:
    """Prices of the first unit on demand, in US dollars."""
    return [
        float(rate["pricePerUnit"]["USD"])
        for term in product["terms"].get("OnDemand", {}).values()
        for rate in term["priceDimensions"].values()
        if rate.get("beginRange", "0") == "0" and "USD" in rate["pricePerUnit"]
    ]


def _run(command: list[str]) -> str:
    where, allowed = "modelway cost --refresh", "the AWS CLI with the right to `pricing:GetProducts`"
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    except FileNotFoundError:
        problem = Problem(where, "no AWS CLI", "nothing on PATH", allowed, "install `aws`")
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [str(error)])[-1]
        problem = Problem(where, "AWS refuses", last, allowed, "see `aws sts get-caller-identity`")
    except subprocess.TimeoutExpired:
        problem = Problem(where, "AWS does not answer", "nothing in 120 s", allowed, "try again")
    raise ProblemError([problem])


def _file() -> Path:
    return cache_dir() / "prices" / "aws.json"


def keep(prices: Iterable[Price]) -> None:
    """Keeps prices in the user's cache, over those of the same key and region."""
    known = {(price.key, price.region): price for price in kept()}
    known.update({(price.key, price.region): price for price in prices})
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(price) for price in known.values()], indent=1), encoding="utf-8")


def kept() -> list[Price]:
    """What earlier refreshes kept."""
    file = _file()
    if not file.exists():
        return []
    return [Price(**price) for price in json.loads(file.read_text(encoding="utf-8"))]
