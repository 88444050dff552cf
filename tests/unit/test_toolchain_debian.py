"""Unpacked Debian packages: nothing of the system changes, and every program finds what belongs to it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.problem import ProblemError
from tools.progress import Progress
from tools.toolchain import catalog, debian, installed, launchers

FAKE_APT = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in *" update") exit 0 ;; esac
case "$*" in
*Dir::State::lists=*) ;;
*) [ -z "$OLD_LISTS" ] || { echo "E: Unable to locate package"; exit 100; } ;;
esac
[ -z "$NO_ARCHIVE" ] || { echo "E: Could not resolve host" >&2; exit 100; }
for word in "$@"; do
  case "$word" in --option=Dir::Cache::archives=*) : > "${word#--option=Dir::Cache::archives=}buildah_1_all.deb" ;; esac
done
"""
FAKE_DPKG = """#!/bin/sh
[ "$1" = -x ] || exit 2
/bin/mkdir -p "$3/usr/bin" "$3/usr/sbin"
for name in usr/bin/buildah usr/bin/skopeo usr/sbin/debootstrap; do
  printf '#!/bin/sh\\necho %s\\n' "${ANSWER:-2.3.4}" > "$3/$name"; /bin/chmod 4755 "$3/$name"
done
[ -z "$BROKEN" ] || printf '#!/bin/sh\\necho no such library >&2; exit 127\\n' > "$3/usr/bin/skopeo"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose apt and dpkg are recorded; returns the record."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("apt-get", FAKE_APT), ("dpkg-deb", FAKE_DPKG)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "ldd").symlink_to(shutil.which("ldd") or "/usr/bin/ldd")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setattr(installed, "_ADMIN_FOLDERS", ())
    return tmp_path / "log"


SPECS = [catalog.SPECS[name] for name in ("buildah", "skopeo", "debootstrap")]


def test_every_write_of_apt_goes_to_the_cache(log: Path, tmp_path: Path) -> None:
    debian.provide("images", SPECS, Progress())
    (call,) = log.read_text().splitlines()
    assert "--download-only" in call
    assert call.split()[-3:] == ["buildah", "skopeo", "debootstrap"]
    folders = [word.split("=", 2)[-1] for word in call.split() if "=Dir::" in word]
    assert len(folders) == 2
    assert all(Path(folder).is_relative_to(tmp_path / "cache") for folder in folders)


def test_old_package_lists_are_replaced_by_fresh_ones_in_the_cache(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLD_LISTS", "1")
    assert set(debian.provide("images", SPECS, Progress())) == {"buildah", "skopeo", "debootstrap"}
    first, update, second = log.read_text().splitlines()
    assert "Dir::State::lists" not in first
    for call in (update, second):
        assert f"--option=Dir::State::lists={tmp_path}/cache/apt/lists/" in call


def test_versions_are_those_that_the_programs_state(log: Path) -> None:
    tools = debian.provide("images", SPECS, Progress())
    assert [(tool.version, tool.origin) for tool in tools.values()] == [("2.3.4", "unpacked")] * 3
    assert debian.provide("images", SPECS, Progress()) == tools
    assert len(log.read_text().splitlines()) == 1


@pytest.mark.usefixtures("log")
def test_no_program_of_the_cache_acts_as_another_user(tmp_path: Path) -> None:
    debian.provide("images", SPECS, Progress())
    root = tmp_path / "cache/debs/images/root"
    assert [oct(path.stat().st_mode & 0o7777) for path in root.glob("usr/*/*")] == ["0o755"] * 3


@pytest.mark.usefixtures("log")
def test_a_set_with_a_program_that_does_not_run_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(ProblemError) as caught:
        debian.provide("images", SPECS, Progress())
    assert str(caught.value) == (
        "tool skopeo: its unpacked Debian package does not run: got no such library, allowed a program that prints "
        "its version; install it with the machine's package manager (Debian package skopeo)."
    )
    assert not (tmp_path / "cache/debs/images").exists()


@pytest.mark.usefixtures("log")
def test_an_archive_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_ARCHIVE", "1")
    with pytest.raises(ProblemError) as caught:
        debian.provide("images", SPECS, Progress())
    assert str(caught.value) == (
        "Debian packages buildah, skopeo, debootstrap: apt cannot fetch them: got E: Could not resolve host, allowed a "
        "Debian or Ubuntu archive that apt reaches; repair /etc/apt/sources.list or the network, or install these "
        "packages yourself."
    )


def test_a_machine_without_apt_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert str(debian.blocker(catalog.SPECS["registry"])) == (
        "tool registry: it is not installed, and unpacking its Debian package needs apt: got no apt-get and no "
        "dpkg-deb, allowed the tool on PATH, or a Debian or Ubuntu machine; install it with the machine's package "
        "manager (Debian package docker-registry)."
    )


def show(folder: Path, program: str) -> Path:
    """Put a program that prints its arguments and what it inherits in place of the real one."""
    path = folder / "root" / program
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("LD_LIBRARY_PATH", "XTABLES_LIBDIR", "DEBOOTSTRAP_DIR", "CONTAINERS_REGISTRIES_CONF")
    path.write_text('#!/bin/sh\necho "$*"\n' + "".join(f'echo "{name}=${name}"\n' for name in names))
    path.chmod(0o755)
    return path


def run(folder: Path, *command: str) -> list[str]:
    environment = {"HOME": str(folder), "PATH": os.defpath}
    done = subprocess.run(
        [str(folder / "bin" / command[0]), *command[1:]], capture_output=True, text=True, env=environment, check=True
    )
    return [line for line in done.stdout.splitlines() if not line.endswith("=")]


def test_iptables_finds_its_extensions_and_missing_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show(tmp_path, "usr/sbin/iptables-nft")
    libraries = tmp_path / "root/usr/lib/x86_64-linux-gnu"
    (libraries / "xtables").mkdir(parents=True)
    (libraries / "libnftnl.so.11").touch()
    monkeypatch.setattr(launchers, "lacks_library", lambda _: True)
    launchers.write(tmp_path, tmp_path)
    expected = ["-t nat -S", f"LD_LIBRARY_PATH={libraries}", f"XTABLES_LIBDIR={libraries}/xtables"]
    assert run(tmp_path, "iptables", "-t", "nat", "-S") == expected
    assert run(tmp_path, "iptables-nft", "-t", "nat", "-S") == expected


def test_a_program_that_lacks_nothing_inherits_no_library_path(tmp_path: Path) -> None:
    show(tmp_path, "usr/sbin/debootstrap")
    (tmp_path / "root/usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (tmp_path / "root/usr/lib/x86_64-linux-gnu/libx.so.1").touch()
    launchers.write(tmp_path, tmp_path)
    assert run(tmp_path, "debootstrap", "a b") == ["a b", f"DEBOOTSTRAP_DIR={tmp_path}/root/usr/share/debootstrap"]


def test_image_tools_take_the_package_policy_where_the_machine_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looked up below a folder that is not there, whatever this machine has in /etc/containers.
    monkeypatch.setattr(launchers, "_SYSTEM_CONFIGURATION", str(tmp_path / "nothing"))
    for program in ("usr/bin/buildah", "usr/bin/skopeo"):
        show(tmp_path, program)
    launchers.write(tmp_path, tmp_path)
    policy = f"{tmp_path}/root/etc/containers/policy.json"
    registries = f"CONTAINERS_REGISTRIES_CONF={tmp_path}/root/etc/containers/registries.conf"
    assert run(tmp_path, "skopeo", "copy", "a", "b") == [f"--policy {policy} copy a b", registries]
    assert run(tmp_path, "buildah", "bud", "-t", "x", ".") == [f"bud --signature-policy {policy} -t x .", registries]
    assert run(tmp_path, "buildah", "--version") == ["--version", registries]
    (tmp_path / ".config/containers").mkdir(parents=True)
    (tmp_path / ".config/containers/policy.json").touch()
    assert run(tmp_path, "buildah", "bud", ".") == ["bud .", registries]
