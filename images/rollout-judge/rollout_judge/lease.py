"""One judge at a time: a Lease, held as Kubernetes' own controllers hold theirs.

Another holder's lease is over when nothing about it changed for its whole duration by this machine's clock; clocks of
two machines are never compared (k8s.io/client-go, tools/leaderelection). A pod that starts again has the same name and
goes on at once: the process before it is gone.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from lightkube import Client
from lightkube.core.exceptions import ApiError
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.resources.coordination_v1 import Lease as Object

DURATION_SECONDS = 15
RENEWED_SECONDS = 10.0
"""Age of the last renewal from which on its holder does nothing more: before anybody else may begin."""
CONFLICT = 409


def micro_time(moment: datetime) -> datetime:
    """What the API server takes for a MicroTime: lightkube 1.0 leaves out a fraction of zero, which it refuses."""
    return moment.replace(microsecond=moment.microsecond or 1)


class Lease:
    """The right to act."""

    def __init__(
        self, client: Client, name: str, namespace: str, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: seconds that never go back."""
        self._client, self._name, self._namespace, self._identity = client, name, namespace, identity
        self._clock = clock
        self._renewed: float | None = None
        self._observed: tuple[str, datetime | None] = ("", None)
        self._observed_at = clock()

    def held(self) -> bool:
        """Whether it is certain that nobody else holds it now."""
        return self._renewed is not None and self._clock() - self._renewed < RENEWED_SECONDS

    def acquire(self) -> bool:
        """Take or renew it; False while another one has it. Raises what the client raises."""
        began = self._clock()
        lease = self._client.get(Object, self._name, namespace=self._namespace)
        spec = lease.spec or LeaseSpec()
        holder = spec.holderIdentity or ""
        if (holder, spec.renewTime) != self._observed:
            self._observed, self._observed_at = (holder, spec.renewTime), began
        alive = began - self._observed_at < (spec.leaseDurationSeconds or DURATION_SECONDS)
        if holder not in ("", self._identity) and alive:
            self._renewed = None
            return False
        now = micro_time(datetime.now(UTC))
        if holder != self._identity:
            spec.acquireTime, spec.leaseTransitions = now, (spec.leaseTransitions or 0) + 1
        spec.holderIdentity, spec.renewTime, spec.leaseDurationSeconds = self._identity, now, DURATION_SECONDS
        lease.spec = spec
        try:
            self._client.replace(lease)
        except ApiError as error:
            if error.status.code != CONFLICT:
                raise
            self._renewed = None
            return False
        self._renewed = began
        return True

    def release(self) -> None:
        """Let go, so that the next one begins at once; nothing if it is not held."""
        if not self.held():
            return
        self._renewed = None
        lease = self._client.get(Object, self._name, namespace=self._namespace)
        if lease.spec is not None and lease.spec.holderIdentity == self._identity:
            lease.spec.holderIdentity = ""
            self._client.replace(lease)
