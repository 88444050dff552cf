"""How long a server takes to refuse each hostile file: `python -m tests.bench.hostile_files`.

From a process that has the server's own modules to its end; the libraries of a format are imported where the file gets
as far as that.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "images" / "model-server"))

import hostile
from server_testing import Starter

ROUNDS = 3


def main() -> None:
    """Print the median seconds of each case, the slowest first; exit 1 if a payload ran or a server did not refuse."""
    seconds, failures = {}, []
    with Starter() as starter, tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(hostile.corpus()):
            place = Path(folder) / str(number)
            case.write(place / "artifact", place / "marker")
            times = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                code, _ = starter.start(place / "artifact", place / "errors")
                times.append(time.perf_counter() - started)
                if code != 1 or (place / "marker").exists():
                    failures.append(case.name)
            seconds[case.name] = statistics.median(times)
    for name, median in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{median:6.2f} s  {name}")
    late = sum(median >= 1 for median in seconds.values())
    print(f"{len(seconds)} files, {len(seconds) - late} refused in under a second, {len(failures)} failures {failures}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
