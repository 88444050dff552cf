"""Keys of the customer in Cloud KMS."""

from collections.abc import Sequence
from typing import NamedTuple

import pulumi
import pulumi_gcp as gcp

from modelway.cluster.gke.services import Services
from modelway.cluster.gke.site import Place

ROTATION = "7776000s"
"""90 days."""
DESTRUCTION = "2592000s"
"""30 days, in which a destroyed version can be restored."""
USER_ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


class Key(NamedTuple):
    """A key that its user may use; whoever names it waits for `grant`."""

    id: pulumi.Output[str]
    grant: pulumi.Resource


def ring(place: Place, services: Services) -> gcp.kms.KeyRing:
    """A ring of keys. It stays when the component goes, so its name is never the same twice."""
    return gcp.kms.KeyRing(
        f"{place.name}-keys",
        project=place.project,
        location=place.region,
        opts=place.child(depends_on=[services["cloudkms"]]),
    )


def key(
    place: Place,
    of_ring: gcp.kms.KeyRing,
    role: str,
    user: pulumi.Input[str],
    after: Sequence[pulumi.Resource] = (),
) -> Key:
    """A key that one identity of Google's may use; `after` is what makes that identity."""
    made = gcp.kms.CryptoKey(
        f"{place.name}-{role}-key",
        key_ring=of_ring.id,
        purpose="ENCRYPT_DECRYPT",
        rotation_period=ROTATION,
        destroy_scheduled_duration=DESTRUCTION,
        labels=dict(place.labels),
        # Without its key, what it encrypted is lost.
        opts=place.child(protect=True),
    )
    grant = gcp.kms.CryptoKeyIAMMember(
        f"{place.name}-{role}-key-user",
        crypto_key_id=made.id,
        role=USER_ROLE,
        member=user,
        opts=place.child(depends_on=after),
    )
    return Key(made.id, grant)
