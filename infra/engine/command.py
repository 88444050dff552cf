"""The Pulumi CLI as a child process that a signal ends gracefully and that a later run can recognize."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

CANCELLED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Callback = Callable[[str], Any]


class EngineCommand(PulumiCommand):
    """Runs the CLI in a process group of its own.

    Ctrl-C then reaches only this process, which passes it on: once, and the engine finishes the running
    steps and releases its lock; twice, and it stops at once.
    """

    def __init__(self, executable: Path, version: str, record: Path, on_cancel: Callable[[int], None]) -> None:
        """`record` keeps the pid of the running engine; `on_cancel` hears how often a signal asked to end."""
        self.command = str(executable)
        self.version = VersionInfo.parse(version.removeprefix("v"))
        self.cancels = 0
        self._record = record
        self._on_cancel = on_cancel

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callback | None = None,
        on_error: Callback | None = None,
    ) -> CommandResult:
        """Run one command to its end.

        Raises:
            CommandError: the command failed.
        """
        with subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
            process_group=0,
        ) as process:
            self._record.write_text(str(process.pid))
            with self._passing_signals_to(process):
                out, err = _read(process.stdout, on_output), _read(process.stderr, on_error)
                stdout, stderr = out(), err()
                code = process.wait()
        self._record.unlink(missing_ok=True)
        result = CommandResult(stdout="\n".join(stdout), stderr="\n".join(stderr), code=code)
        if code != 0:
            raise create_command_error(result)
        return result

    @contextmanager
    def _passing_signals_to(self, process: "subprocess.Popen[str]") -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # Python delivers signals to the main thread only.
            return

        def pass_on(_signal: int, _frame: FrameType | None) -> None:
            self.cancels += 1
            self._on_cancel(self.cancels)
            process.send_signal(signal.SIGINT)

        before = {number: signal.signal(number, pass_on) for number in CANCELLED_BY}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _read(stream: IO[str] | None, callback: Callback | None) -> Callable[[], list[str]]:
    """Read `stream` on a thread; the returned function waits for its end and gives its lines."""
    lines: list[str] = []

    def consume() -> None:
        for line in stream or ():
            lines.append(line.rstrip())
            if callback:
                callback(lines[-1])

    thread = threading.Thread(target=consume)
    thread.start()

    def finish() -> list[str]:
        thread.join()
        return lines

    return finish
