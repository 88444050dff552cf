"""Shows a run of the engine: a compact live view in a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from infra.engine.events import DOING, DONE, SIGN, Change, EngineStep

QUIET_SECONDS = 2.0
"""A step shorter than this gets one line, when it ends."""
REPEAT_SECONDS = 15.0
"""A longer one repeats itself, so that a log never looks dead."""
LIVE_LINES = 12
"""Running steps shown at a time in a terminal."""


class PlainDisplay:
    """One line per finished step; long steps say what they wait for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._steps: dict[str, EngineStep] = {}
        self._said: dict[str, tuple[float, str]] = {}
        self._guard = threading.Lock()

    def began(self, step: EngineStep) -> None:
        """Remember the step; `tick` speaks about it when it takes long."""
        with self._guard:
            self._steps[step.urn] = step

    def ended(self, step: EngineStep, failed: bool) -> None:
        """Print the step with its duration."""
        with self._guard:
            self._steps.pop(step.urn, None)
            self._said.pop(step.urn, None)
        outcome = f"failed after {step.seconds:.1f} s" if failed else f"{DONE[step.op]} in {step.seconds:.1f} s"
        self._line(f"{SIGN.get(step.op, ' ')} {step.title}: {outcome}")

    def say(self, text: str) -> None:
        """Print one line."""
        self._line(text)

    def tick(self) -> None:
        """Speak about each step that is long, newly waits for something else, or was silent for long."""
        with self._guard:
            steps = list(self._steps.values())
        now = time.monotonic()
        for step in steps:
            at, note = self._said.get(step.urn, (0.0, ""))
            new = (not at and step.seconds >= QUIET_SECONDS) or (at and note != step.note and now - at >= QUIET_SECONDS)
            if new or (at and now - at >= REPEAT_SECONDS):
                self._said[step.urn] = (now, step.note)
                self._line(_running(step))

    def _line(self, text: str) -> None:
        self._console.print(f"[{time.monotonic() - self._started:6.1f}s] {text}", markup=False)


class LiveDisplay(PlainDisplay):
    """Finished steps scroll by; the running ones are redrawn below them."""

    def __rich__(self) -> Group:
        """The running steps, oldest first."""
        with self._guard:
            steps = list(self._steps.values())
        lines = [Text("  " + _running(step), overflow="ellipsis", no_wrap=True) for step in steps[:LIVE_LINES]]
        if len(steps) > LIVE_LINES:
            lines.append(Text(f"  … and {len(steps) - LIVE_LINES} more"))
        return Group(*lines)

    def tick(self) -> None:
        """Nothing: the live view redraws itself."""


def _running(step: EngineStep) -> str:
    waits = f": {step.note}" if step.note else ""
    return f"{SIGN.get(step.op, ' ')} {step.title}: {DOING[step.op]} for {step.seconds:.0f} s{waits}"


@contextmanager
def display(console: Console) -> Iterator[PlainDisplay]:
    """The display that fits `console`, alive for the block."""
    if console.is_terminal:
        live = LiveDisplay(console)
        with Live(live, console=console, refresh_per_second=4, transient=True):
            yield live
        return
    lines, over = PlainDisplay(console), threading.Event()

    def ticker() -> None:
        while not over.wait(1.0):
            lines.tick()

    thread = threading.Thread(target=ticker, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        over.set()
        thread.join()


def summary(counts: Mapping[str, int], seconds: float, planned: bool = False) -> str:
    """A run in one line: `3 created, 1 updated, 0 replaced, 0 deleted, 40 unchanged in 12.3 s`."""
    words = {
        "create": ("created", "to create"),
        "update": ("updated", "to update"),
        "replace": ("replaced", "to replace"),
        "delete": ("deleted", "to delete"),
        "same": ("unchanged", "unchanged"),
    }
    return ", ".join(f"{counts.get(op, 0)} {word[planned]}" for op, word in words.items()) + f" in {seconds:.1f} s"


def preview_lines(changes: Sequence[Change]) -> list[str]:
    """One line per resource that would change, with the properties that differ."""
    return [
        f"{SIGN.get(change.op, ' ')} {change.title}" + (f": {', '.join(change.keys)}" if change.keys else "")
        for change in changes
        if change.op in SIGN
    ]
