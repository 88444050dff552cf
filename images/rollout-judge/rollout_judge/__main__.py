"""`python -m rollout_judge`: judges one experiment until it is told to stop."""

import os
import signal
import socket
import sys
import threading
import time

from rollout_judge.cluster import Objects, connect
from rollout_judge.judge import Judge
from rollout_judge.lease import Lease
from rollout_judge.log import Log
from rollout_judge.prometheus import HttpPrometheus
from rollout_judge.settings import SettingsError, load
from rollout_judge.telemetry import Telemetry, serve


def main() -> int:
    """Exit status: 0 after SIGTERM or SIGINT, 2 for settings that are not usable."""
    log = Log()
    try:
        settings = load(os.environ, socket.gethostname())
    except SettingsError as error:
        log.event("unusable settings", "error", problems=str(error).splitlines())
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    telemetry = Telemetry()
    server = serve(telemetry, settings.admin_port)
    client = connect(os.environ)
    judge = Judge(
        settings,
        Lease(client, settings.experiment, settings.namespace, settings.pod),
        Objects(client, settings),
        HttpPrometheus(settings.prometheus_url),
        telemetry,
        log,
        time.time,
    )
    log.event("started", experiment=settings.experiment, namespace=settings.namespace, pod=settings.pod)
    while not stop.is_set():
        began = time.monotonic()
        judge.turn()
        stop.wait(max(0.0, settings.look_seconds - (time.monotonic() - began)))
    judge.stop()
    server.shutdown()
    log.event("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
