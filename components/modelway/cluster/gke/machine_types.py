"""Machine types that a node pool may name, and the regions that have them; pure data.

Read on 2026-11-23 from the prices that Karpenter's provider for Google Cloud takes from Google's billing and compute
APIs (https://github.com/cloudpilot-ai/karpenter-provider-gcp, pkg/providers/pricing/initial-prices.json at commit
417f047b of 2026-08-06); which GPUs a type has from https://github.com/GoogleCloudPlatform/cluster-toolkit,
pkg/config/machine_mappings.json at commit 10470803 of 2026-06-25. General and compute families and those with whole
NVIDIA GPUs that need no reservation; no bare metal, local disks or first-generation Arm. A region that has a family may
lack its largest sizes, and a zone of it the family.
"""

from typing import NamedTuple

from modelway._gcp import REGIONS


class Family(NamedTuple):
    """A machine family: what types have in common whose names differ in the size only."""

    architecture: str
    """`amd64` or `arm64`."""
    gpu: str
    """Type of its accelerator, empty without one."""
    sizes: str
    regions: tuple[str, ...]


class Machine(NamedTuple):
    """A machine type."""

    family: Family
    gpus: int
    """Number of its GPUs."""


def _only(present: str) -> tuple[str, ...]:
    return tuple(present.split())


def _but(absent: str) -> tuple[str, ...]:
    return tuple(region for region in REGIONS if region not in absent.split())


_A2 = _only(
    "asia-northeast1 asia-northeast3 asia-southeast1 europe-west4 me-west1 us-central1 us-east1 us-west1 us-west3 "
    "us-west4"
)
_A2_MEGAGPU = _only("asia-southeast1 europe-west4 us-central1")
_A2_ULTRAGPU = _only("asia-southeast1 europe-west4 us-central1 us-east4 us-east5")
_A3 = _only(
    "asia-east1 asia-northeast1 asia-south1 asia-south2 asia-southeast1 australia-southeast1 europe-north1 "
    "europe-west1 europe-west3 europe-west4 europe-west9 us-central1 us-east4 us-east5 us-west1 us-west4"
)
_A3_MEGAGPU = _only(
    "asia-northeast1 asia-southeast1 australia-southeast1 europe-west1 europe-west3 europe-west4 us-east4 "
    "us-east5 us-west4"
)
_C2 = _but(
    "africa-south1 asia-southeast2 asia-southeast3 australia-southeast2 europe-central2 europe-north2 "
    "europe-southwest1 europe-west10 europe-west12 europe-west8 europe-west9 me-central1 northamerica-northeast2 "
    "northamerica-south1 us-south1"
)
_C2D = _but(
    "asia-southeast2 asia-southeast3 europe-north1 europe-north2 europe-west10 europe-west6 europe-west9 "
    "me-central1 northamerica-south1 southamerica-west1 us-east5 us-south1"
)
_C3 = _only(
    "asia-east1 asia-east2 asia-northeast1 asia-northeast3 asia-south1 asia-southeast1 australia-southeast1 "
    "europe-west1 europe-west2 europe-west3 europe-west4 me-central2 northamerica-northeast1 southamerica-east1 "
    "us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4"
)
_C3_HIGHMEM = _only(
    "asia-northeast1 asia-south1 asia-south2 asia-southeast1 asia-southeast2 europe-west1 europe-west10 "
    "europe-west2 europe-west3 europe-west4 me-central1 me-central2 northamerica-northeast1 "
    "northamerica-northeast2 us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4"
)
_C3_STANDARD = _but(
    "africa-south1 asia-east1 asia-east2 asia-northeast2 asia-northeast3 asia-southeast2 asia-southeast3 "
    "europe-central2 europe-north2 europe-southwest1 europe-west10 europe-west12 europe-west6 europe-west8 "
    "me-central1 northamerica-northeast2 northamerica-south1 southamerica-west1"
)
_C3D = _only(
    "asia-east1 asia-south1 asia-southeast1 australia-southeast1 australia-southeast2 europe-west1 europe-west3 "
    "europe-west4 me-central2 northamerica-south1 us-central1 us-east1 us-east4 us-west1 us-west2"
)
_C3D_HIGHMEM = _only(
    "asia-east1 asia-south1 asia-southeast1 europe-north1 europe-north2 europe-west1 europe-west2 europe-west3 "
    "europe-west4 me-central2 me-west1 northamerica-south1 us-central1 us-east1 us-east4 us-east5 us-west1"
)
_C3D_STANDARD = _only(
    "asia-east1 asia-south1 asia-southeast1 australia-southeast1 europe-north1 europe-west1 europe-west3 "
    "europe-west4 me-central2 me-west1 northamerica-south1 us-central1 us-east1 us-east4 us-east5 us-west1 "
    "us-west4"
)
_C4 = _but("europe-west10")
_C4_HIGHMEM = _but("")
_C4A = _but(
    "africa-south1 asia-east2 asia-northeast2 asia-northeast3 asia-south2 asia-southeast2 asia-southeast3 "
    "europe-west10 europe-west12 europe-west6 europe-west8 europe-west9 me-central1 me-west1 southamerica-east1 "
    "us-west3"
)
_C4A_HIGHMEM = _but(
    "africa-south1 asia-east2 asia-northeast2 asia-northeast3 asia-south2 asia-southeast2 asia-southeast3 "
    "europe-west10 europe-west12 europe-west6 europe-west8 europe-west9 me-central1 me-central2 me-west1 "
    "southamerica-east1 us-west3"
)
_C4D = _only(
    "asia-northeast1 asia-south1 asia-southeast1 europe-west1 europe-west2 europe-west3 europe-west4 us-central1 "
    "us-east1 us-east4 us-east5 us-west1 us-west3 us-west4"
)
_C4D_HIGHMEM = _only(
    "asia-northeast1 asia-south1 asia-southeast1 europe-west1 europe-west2 europe-west3 europe-west4 europe-west9 "
    "us-central1 us-east1 us-east4 us-east5 us-west1 us-west3 us-west4"
)
_E2 = _but("asia-southeast3")
_G2 = _only(
    "asia-east1 asia-northeast1 asia-northeast3 asia-south1 asia-southeast1 europe-west1 europe-west2 "
    "europe-west3 europe-west4 europe-west6 me-central2 northamerica-northeast1 northamerica-northeast2 "
    "us-central1 us-east1 us-east4 us-west1 us-west4"
)
_G4 = _only(
    "asia-east1 asia-south1 asia-south2 asia-southeast1 asia-southeast2 europe-north1 europe-west1 europe-west10 "
    "europe-west2 europe-west4 europe-west8 me-central2 us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 "
    "us-west3 us-west4"
)
_N1 = _but(
    "africa-south1 asia-southeast3 europe-north2 europe-southwest1 europe-west10 europe-west12 europe-west8 "
    "europe-west9 me-central1 me-central2 northamerica-south1 southamerica-west1 us-east5 us-south1"
)
_N2 = _but("asia-southeast3 europe-north2 northamerica-south1")
_N4 = _but("europe-west10 europe-west12")
_N4A = _only(
    "asia-southeast1 europe-west1 europe-west2 europe-west3 europe-west4 us-central1 us-east1 us-east4 us-west1"
)
_N4D = _only(
    "asia-south1 asia-southeast1 europe-west1 europe-west2 europe-west3 europe-west4 us-central1 us-east1 "
    "us-east4 us-east5 us-west1 us-west3 us-west4"
)
_T2D = _but("asia-northeast3 asia-southeast3 europe-north2 northamerica-south1")

FAMILIES = {
    "a2-highgpu": Family("amd64", "nvidia-tesla-a100", "1g 2g 4g 8g", _A2),
    "a2-megagpu": Family("amd64", "nvidia-tesla-a100", "16g", _A2_MEGAGPU),
    "a2-ultragpu": Family("amd64", "nvidia-a100-80gb", "1g 2g 4g 8g", _A2_ULTRAGPU),
    "a3-highgpu": Family("amd64", "nvidia-h100-80gb", "1g 2g 4g 8g", _A3),
    "a3-megagpu": Family("amd64", "nvidia-h100-mega-80gb", "8g", _A3_MEGAGPU),
    "c2-standard": Family("amd64", "", "4 8 16 30 60", _C2),
    "c2d-highcpu": Family("amd64", "", "2 4 8 16 32 56 112", _C2D),
    "c2d-highmem": Family("amd64", "", "2 4 8 16 32 56 112", _C2D),
    "c2d-standard": Family("amd64", "", "2 4 8 16 32 56 112", _C2D),
    "c3-highcpu": Family("amd64", "", "4 8 22 44 88 176", _C3),
    "c3-highmem": Family("amd64", "", "4 8 22 44 88 176", _C3_HIGHMEM),
    "c3-standard": Family("amd64", "", "4 8 22 44 88 176", _C3_STANDARD),
    "c3d-highcpu": Family("amd64", "", "4 8 16 30 60 90 180 360", _C3D),
    "c3d-highmem": Family("amd64", "", "4 8 16 30 60 90 180 360", _C3D_HIGHMEM),
    "c3d-standard": Family("amd64", "", "4 8 16 30 60 90 180 360", _C3D_STANDARD),
    "c4-highcpu": Family("amd64", "", "2 4 8 16 24 32 48 96 144 192 288", _C4),
    "c4-highmem": Family("amd64", "", "2 4 8 16 24 32 48 96 144 192 288", _C4_HIGHMEM),
    "c4-standard": Family("amd64", "", "2 4 8 16 24 32 48 96 144 192 288", _C4),
    "c4a-highcpu": Family("arm64", "", "1 2 4 8 16 32 48 64 72", _C4A),
    "c4a-highmem": Family("arm64", "", "1 2 4 8 16 32 48 64 72", _C4A_HIGHMEM),
    "c4a-standard": Family("arm64", "", "1 2 4 8 16 32 48 64 72", _C4A),
    "c4d-highcpu": Family("amd64", "", "2 4 8 16 32 48 64 96 192 384", _C4D),
    "c4d-highmem": Family("amd64", "", "2 4 8 16 32 48 64 96 192 384", _C4D_HIGHMEM),
    "c4d-standard": Family("amd64", "", "2 4 8 16 32 48 64 96 192 384", _C4D),
    "e2": Family("amd64", "", "medium", _E2),
    "e2-highcpu": Family("amd64", "", "2 4 8 16 32", _E2),
    "e2-highmem": Family("amd64", "", "2 4 8 16", _E2),
    "e2-standard": Family("amd64", "", "2 4 8 16 32", _E2),
    "g2-standard": Family("amd64", "nvidia-l4", "4 8 12 16 24 32 48 96", _G2),
    "g4-standard": Family("amd64", "nvidia-rtx-pro-6000", "48 96 192 384", _G4),
    "n1-highcpu": Family("amd64", "", "2 4 8 16 32 64 96", _N1),
    "n1-highmem": Family("amd64", "", "2 4 8 16 32 64 96", _N1),
    "n1-standard": Family("amd64", "", "1 2 4 8 16 32 64 96", _N1),
    "n2-highcpu": Family("amd64", "", "2 4 8 16 32 48 64 80 96", _N2),
    "n2-highmem": Family("amd64", "", "2 4 8 16 32 48 64 80 96 128", _N2),
    "n2-standard": Family("amd64", "", "2 4 8 16 32 48 64 80 96 128", _N2),
    "n2d-highcpu": Family("amd64", "", "2 4 8 16 32 48 64 80 96 128 224", _N2),
    "n2d-highmem": Family("amd64", "", "2 4 8 16 32 48 64 80 96", _N2),
    "n2d-standard": Family("amd64", "", "2 4 8 16 32 48 64 80 96 128 224", _N2),
    "n4-highcpu": Family("amd64", "", "2 4 8 16 32 48 64 80", _N4),
    "n4-highmem": Family("amd64", "", "2 4 8 16 32 48 64 80", _N4),
    "n4-standard": Family("amd64", "", "2 4 8 16 32 48 64 80", _N4),
    "n4a-highcpu": Family("arm64", "", "1 2 4 8 16 32 48 64", _N4A),
    "n4a-highmem": Family("arm64", "", "1 2 4 8 16 32 48 64", _N4A),
    "n4a-standard": Family("arm64", "", "1 2 4 8 16 32 48 64", _N4A),
    "n4d-highcpu": Family("amd64", "", "2 4 8 16 32 48 64 80 96", _N4D),
    "n4d-highmem": Family("amd64", "", "2 4 8 16 32 48 64 80 96", _N4D),
    "n4d-standard": Family("amd64", "", "2 4 8 16 32 48 64 80 96", _N4D),
    "t2d-standard": Family("amd64", "", "1 2 4 8 16 32 48 60", _T2D),
}

_GPUS = {
    "g2-standard": {"4": 1, "8": 1, "12": 1, "16": 1, "24": 2, "32": 1, "48": 4, "96": 8},
    "g4-standard": {"48": 1, "96": 2, "192": 4, "384": 8},
}
"""Number of GPUs by size; sizes of the A families say it."""


def machine_of(machine_type: str) -> Machine | None:
    """The machine type, none where the table lacks it."""
    name, _, size = machine_type.rpartition("-")
    family = FAMILIES.get(name)
    if family is None or size not in family.sizes.split():
        return None
    if not family.gpu:
        return Machine(family, 0)
    return Machine(family, _GPUS[name][size] if name in _GPUS else int(size.removesuffix("g")))


def machine_types() -> list[str]:
    """All machine types of the table."""
    return [f"{name}-{size}" for name, family in FAMILIES.items() for size in family.sizes.split()]


def gpus_in(region: str) -> list[str]:
    """Types of accelerators that the region has, as far as the table knows."""
    return sorted({family.gpu for family in FAMILIES.values() if family.gpu and region in family.regions})
