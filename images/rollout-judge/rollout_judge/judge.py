"""The judge's turn: read, think, write, act, in this order.

What was read and concluded is written first, by compare-and-swap, and only then is the route made what was written. So
a judge that is killed before the write has done nothing, and its successor reads the same counters again; one that is
killed after it has left its successor what to do, who finds the route different from the state and makes it so. Nothing
is ever done that is not written.

Never two act: the Lease is asked again before each write. A judge that slept through its end finds that the state was
written since (compare-and-swap), or, had it written already, that the route was (its resourceVersion is applied with).
"""

from collections.abc import Callable

import httpx2
from lightkube.core.exceptions import ApiError

from rollout_judge import course
from rollout_judge.cluster import ConflictError, DocumentError, Experiment, Objects, Stored
from rollout_judge.lease import Lease
from rollout_judge.log import Log
from rollout_judge.plan import Plan
from rollout_judge.reading import Prometheus, Reading, Source, read
from rollout_judge.route import Manifest, contains, weighted
from rollout_judge.settings import Settings
from rollout_judge.state import State
from rollout_judge.telemetry import Telemetry


class Judge:
    """Judges one experiment."""

    def __init__(
        self,
        settings: Settings,
        lease: Lease,
        objects: Objects,
        prometheus: Prometheus,
        telemetry: Telemetry,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        """`clock`: seconds since 1970."""
        self._settings, self._lease, self._objects, self._prometheus = settings, lease, objects, prometheus
        self._telemetry, self._log, self._clock = telemetry, log, clock
        self._waits_for, self._announced = "", 0

    def turn(self) -> None:
        """One turn; what fails is logged, leaves everything as it is, and is tried again in the next one."""
        holder = False
        try:
            holder = self._lease.acquire()
            self._telemetry.ready = self._judge() if holder else self._wait("another judge holds the Lease")
        except ConflictError as error:
            self._trouble("conflict", error, "info")
        except DocumentError as error:
            self._trouble("document", error, "error")
        except (ApiError, httpx2.HTTPError) as error:
            self._trouble("api", error, "warning")
        self._telemetry.turned(holder)

    def stop(self) -> None:
        """Let the next judge begin at once."""
        self._telemetry.ready = False
        try:
            self._lease.release()
        except (ApiError, httpx2.HTTPError) as error:
            self._trouble("api", error, "warning")

    def _judge(self) -> bool:
        """Whether the route has the versions of `route.json` and the weights of the state."""
        experiment = self._objects.experiment()
        if experiment is None:
            return self._wait(f"there is no ConfigMap {self._settings.experiment}")
        stored = self._objects.stored()
        route = self._objects.route(str(experiment.route["metadata"]["name"]))
        if route is None:
            return self._wait("the split route is not there, or not under this experiment")
        self._waits_for = ""
        state = self._think(experiment, stored, self._reading(experiment, stored), self._clock())
        self._note_route(state, experiment, route)
        return self._do(experiment, stored, state, route)

    def _reading(self, experiment: Experiment, stored: Stored) -> Reading:
        """What is over needs no more numbers."""
        same = stored.state is not None and stored.state.experiment == experiment.plan.experiment
        if stored.state is not None and same and stored.state.status.ended:
            return Reading(taken=False)
        plan = experiment.plan
        source = Source(plan.model, self._settings.namespace, self._settings.gateway_namespace, experiment.versions)
        return read(self._prometheus, plan, source, self._clock())

    def _think(self, experiment: Experiment, stored: Stored, found: Reading, now: float) -> State:
        state = course.continued(stored.state, experiment.plan, experiment.versions, now)
        if stored.command is not None and stored.command.id != state.command:
            state = course.obey(state, experiment.plan, stored.command, now)
        state.announced = max(state.announced, self._announced if stored.state is not None else 0)
        course.look(state, experiment.plan, found, now)
        return state

    def _note_route(self, state: State, experiment: Experiment, route: Manifest) -> None:
        """What the route is seen to have goes into the state with the rest."""
        if _is(route, experiment, state):
            state.route = experiment.digest
            if state.weights_since is None:
                state.weights_since = self._clock()

    def _do(self, experiment: Experiment, stored: Stored, state: State, route: Manifest) -> bool:
        if not self._lease.held():
            return self._wait("the Lease was not renewed in time")
        if state != stored.state or stored.command is not None:
            self._objects.write(stored, state)
        self._telemetry.show(state)
        if not _is(route, experiment, state):
            if not self._lease.held():
                return self._wait("the Lease was not renewed in time")
            self._objects.apply(route, weighted(experiment.route, experiment.plan.model, state.weights))
            self._log.event("weights applied", **_identity(experiment.plan), weights=state.weights)
        self._announce(experiment, state, route)
        return True

    def _announce(self, experiment: Experiment, state: State, route: Manifest) -> None:
        """Each line of the history becomes an Event, a log line and a number; the next write says so."""
        lines = state.unannounced()
        for entry in lines:
            try:
                self._objects.announce(route, entry)
            except (ApiError, httpx2.HTTPError) as error:
                # What was decided is done; the next turn tells it again.
                self._telemetry.problem("event")
                self._log.event("no event", "warning", error=str(error) or type(error).__name__)
                return
            self._telemetry.decided(entry)
            level = "warning" if entry.event in ("rolled back", "held") else "info"
            said = entry.model_dump(exclude={"event"})
            self._log.event("decision", level, decision=entry.event, **_identity(experiment.plan), **said)
            self._announced = entry.number

    def _wait(self, reason: str) -> bool:
        if reason != self._waits_for:
            self._waits_for = reason
            self._log.event("waiting", reason=reason)
        return False

    def _trouble(self, what: str, error: Exception, level: str) -> None:
        self._telemetry.problem(what)
        if what != "conflict":
            self._telemetry.ready = False
        self._log.event("turn failed", level, what=what, error=str(error) or type(error).__name__)


def _is(route: Manifest, experiment: Experiment, state: State) -> bool:
    wanted = weighted(experiment.route, experiment.plan.model, state.weights)
    return contains(route["spec"].get("rules"), wanted["spec"]["rules"])


def _identity(plan: Plan) -> dict[str, str]:
    return {"model": plan.model, "champion": plan.champion, "candidate": plan.candidate}
