"""pip's settings reach a build as private files that are gone after it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.images import pip_settings
from tools.problem import ProblemError


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without pip settings of its own."""
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path / "cache"))
    for name in pip_settings._CERTIFICATES:
        monkeypatch.delenv(name, raising=False)
    settings(monkeypatch, "")
    return tmp_path


def settings(monkeypatch: pytest.MonkeyPatch, listing: str) -> None:
    def answer(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert argv == [sys.executable, "-m", "pip", "config", "list"]
        return subprocess.CompletedProcess(argv, 0, listing, "")

    monkeypatch.setattr(subprocess, "run", answer)


def test_the_environment_wins_over_files_and_the_command_over_global() -> None:
    listing = "\n".join(
        [
            ":env:.index-url='https://env.example/simple'",
            "global.index-url='https://global.example/simple'",
            "global.timeout='60'",
            "install.timeout='90'",
            "global.user='true'",
            "freeze.timeout='1'",
        ]
    )
    assert pip_settings.parse(listing) == {"index-url": "https://env.example/simple", "timeout": "90"}


def test_a_machine_without_settings_gives_a_build_none() -> None:
    with pip_settings.build_settings() as made:
        assert made == pip_settings.BuildSettings({}, {})


def test_settings_travel_in_private_files_that_end_with_the_build(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = machine / "bundle.pem"
    bundle.write_text("certificates")
    settings(monkeypatch, f"global.cert='{bundle}'\n:env:.index-url='https://me:planted@example.org/simple'\n")
    with pip_settings.build_settings() as made:
        assert {name: (file.read_text(), oct(file.stat().st_mode & 0o777)) for name, file in made.secrets.items()} == {
            "ca.pem": ("certificates", "0o600"),
            "pip.conf": (
                "[global]\ncert = /run/secrets/ca.pem\nindex-url = https://me:planted@example.org/simple\n",
                "0o600",
            ),
        }
    assert not any(file.exists() for file in made.secrets.values())
    assert list((machine / "cache").rglob("*")) == [machine / "cache/images", machine / "cache/images/settings"]


def test_the_certificates_of_the_environment_count_when_pip_names_none(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = machine / "bundle.pem"
    bundle.write_text("certificates")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with pip_settings.build_settings() as made:
        assert made.secrets["ca.pem"].read_text() == "certificates"


def test_a_missing_certificate_file_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, "global.cert='/nowhere/ca.pem'\n")
    with pytest.raises(ProblemError) as caught, pip_settings.build_settings():
        pass
    assert str(caught.value) == (
        "pip setting cert: the file cannot be read: got /nowhere/ca.pem (No such file or directory), allowed a PEM "
        "file; correct the path in pip's settings (`pip config debug` shows where they come from)."
    )


def test_local_package_folders_get_a_name_inside_the_build_and_empty_ones_go(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, empty = machine / "wheels", machine / "empty"
    wheels.mkdir()
    empty.mkdir()
    (wheels / "a.whl").write_text("")
    settings(monkeypatch, f":env:.find-links='{wheels} {empty} https://example.org/links'\n")
    with pip_settings.build_settings() as made:
        assert made.folders == {"/run/find-links/0": wheels}
        assert made.secrets["pip.conf"].read_text() == (
            "[global]\nfind-links = /run/find-links/0\n    https://example.org/links\n"
        )


def test_what_a_killed_build_left_is_removed_and_a_running_builds_files_stay(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(monkeypatch, "global.timeout='60'\n")
    left = machine / "cache/images/settings/left"
    left.mkdir(parents=True)
    (left / "pip.conf").write_text("planted")
    with pip_settings.build_settings() as first:
        assert not left.exists()
        with pip_settings.build_settings():
            assert first.secrets["pip.conf"].exists()
