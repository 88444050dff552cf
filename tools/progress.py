"""Progress of long work: which step, how long it took, what it waits for.

In a terminal the running step is redrawn in place; elsewhere every step is a plain line, and a step that
takes long repeats itself every `REPEAT_SECONDS`, so that a log never looks dead.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

REPEAT_SECONDS = 15.0


class Step:
    """One running step; `update` says what it waits for."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.note = ""
        self.started = time.monotonic()

    def update(self, note: str) -> None:
        """Say in a few words what the step does or waits for now."""
        self.note = note

    def line(self) -> str:
        """The step as one line with its age in seconds."""
        age = time.monotonic() - self.started
        return f"[{age:5.1f}s] {self.title}" + (f": {self.note}" if self.note else "")


class Progress:
    """Prints steps to standard error; one per process is enough."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = self._console.is_terminal

    def say(self, text: str) -> None:
        """Print one plain line."""
        self._console.print(text, markup=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run the block as one step; it prints its duration when it ends, and `failed` when it raises."""
        step = Step(title)
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(step, done), daemon=True)
        watcher.start()
        outcome = "failed"
        try:
            yield step
            outcome = "done"
        finally:
            done.set()
            watcher.join()
            step.note = outcome if not step.note or outcome == "failed" else step.note
            self.say(step.line())

    def _watch(self, step: Step, done: threading.Event) -> None:
        if self._live:
            with self._console.status(step.line()) as status:
                while not done.wait(0.25):
                    status.update(step.line())
            return
        while not done.wait(REPEAT_SECONDS):
            self.say(step.line() + " …")
