import os
from pathlib import Path

import pytest
from modelway_server.cpus import cpu_limit

HOST = float(len(os.sched_getaffinity(0)))


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, HOST),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, HOST),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        # The tightest of the cgroups around the process counts.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "25000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "50000 100000\n",
            },
            0.25,
        ),
        # In a container the path may be the host's; the mount's top is the container's own cgroup.
        ({"proc/self/cgroup": "0::/kubepods/pod1\n", "sys/fs/cgroup/cpu.max": "75000 100000\n"}, 0.75),
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/kubepods/pod1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            HOST,
        ),
    ],
)
def test_the_limit_is_the_tightest_around_the_process(tmp_path: Path, files: dict[str, str], limit: float) -> None:
    write(tmp_path, files)
    assert cpu_limit(tmp_path) == limit
