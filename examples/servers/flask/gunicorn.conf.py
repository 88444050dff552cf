"""Settings of gunicorn (https://docs.gunicorn.org/en/stable/settings.html)."""

import os

bind = [f"0.0.0.0:{os.environ.get('PORT', '8080')}", f"0.0.0.0:{os.environ.get('ADMIN_PORT', '9090')}"]
worker_class = "gthread"
# One process, since the metrics of several would have to be added up; more pods are the way to more.
workers = 1
threads = 8
# Longer than the gateway keeps an idle connection: else it writes into one that this server just closed.
keepalive = 75
# SIGTERM: gunicorn accepts nothing more, and answers what it has.
graceful_timeout = 30
# The heartbeat's file is in memory, and there is no control socket: the root file system is read-only.
worker_tmp_dir = "/dev/shm"  # noqa: S108
control_socket_disable = True
