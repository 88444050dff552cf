"""From names to tools: what is installed wins, what is cached is whole, what is missing is named before any work."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.paths import PROJECT
from tools.problem import ProblemError
from tools.progress import Progress
from tools.toolchain import (
    ENGINE,
    GROUPS,
    Tool,
    catalog,
    download,
    ensure,
    environment,
    gobuild,
    inspect,
    installed,
    standin,
    store,
    versions,
)
from tools.toolchain import __main__ as command_line

FAKE_GO = """#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in -o) out=$2; shift ;; esac
  last=$1; shift
done
echo "$last" >> "$GO_LOG"
[ -z "$GO_FAILS" ] || { echo "undefined: something"; exit 1; }
[ -z "$GO_WAITS" ] || { printf half > "$out"; : > "$GO_WAITS.started"; read -r line < "$GO_WAITS"; }
printf '#!/bin/sh\\necho 9.9.9\\n' > "$out"; /bin/chmod 755 "$out"
"""


class Machine:
    """A machine with an empty cache, a PATH of its own and no network."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.cache = root / "cache"
        self.go_log = root / "go.log"
        self.bin.mkdir()
        (self.bin / "nice").symlink_to(shutil.which("nice") or "/usr/bin/nice")

    def install(self, name: str, text: str = "#!/bin/sh\necho 1.2.3\n") -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def install_go(self) -> None:
        self.install("go", FAKE_GO)

    def built(self) -> list[str]:
        return self.go_log.read_text().split() if self.go_log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    for name, value in {
        "PATH": str(made.bin),
        "HOME": str(tmp_path / "home"),
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "MODELWAY_CACHE_DIR": str(made.cache),
        "GO_LOG": str(made.go_log),
        "GO_FAILS": "",
        "GO_WAITS": "",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(installed, "_ADMIN_FOLDERS", ())
    monkeypatch.setattr(installed, "_CNI_FOLDERS", ())
    monkeypatch.setattr(gobuild, "_USUAL_PLACE", tmp_path / "nowhere")
    monkeypatch.setattr(gobuild, "NEEDED_FREE_BYTES", 0)
    monkeypatch.setattr(download, "_refused", {})

    def refuse(_url: str, method: str = "GET") -> None:
        raise download.RefusedError(f"{method} is refused here")

    monkeypatch.setattr(download, "open_url", refuse)
    return made


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(Progress, "say", lambda _, text: lines.append(text))
    return lines


def problems(call: Callable[[], object]) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        call()
    return [str(problem) for problem in caught.value.problems]


class TestOrder:
    def test_an_installed_tool_is_used_with_its_own_version(self, machine: Machine) -> None:
        helm = machine.install("helm", '#!/bin/sh\n[ "$*" = "version --short" ] && echo v3.19.2+g12ab\n')
        assert ensure(["helm"], Progress()) == {"helm": Tool("helm", helm, "3.19.2", "PATH")}

    def test_a_missing_tool_is_built_once_and_then_found(self, machine: Machine) -> None:
        machine.install_go()
        wanted = Tool("helm", machine.cache / f"bin/helm-{versions.HELM}/helm", versions.HELM, "built")
        assert ensure(["helm"], Progress()) == {"helm": wanted}
        assert ensure(["helm"], Progress()) == {"helm": wanted}
        assert machine.built() == ["helm.sh/helm/v3/cmd/helm"]

    def test_an_installed_tool_wins_over_a_cached_one(self, machine: Machine) -> None:
        machine.install_go()
        ensure(["helm"], Progress())
        machine.install("helm")
        assert ensure(["helm"], Progress())["helm"].origin == "PATH"

    def test_what_the_cache_holds_does_not_count_as_installed(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.install_go()
        tools = ensure(["helm"], Progress())
        monkeypatch.setenv("PATH", environment(tools)["PATH"])
        assert ensure(["helm"], Progress())["helm"].origin == "built"

    def test_a_kubelet_of_another_minor_version_is_passed_over(self, machine: Machine) -> None:
        machine.install_go()
        machine.install("kubelet", "#!/bin/sh\necho Kubernetes v1.29.4\n")
        assert ensure(["kubelet"], Progress())["kubelet"].origin == "built"
        minor = ".".join(versions.KUBERNETES.split(".")[:2])
        machine.install("kubelet", f"#!/bin/sh\necho Kubernetes v{minor}.0\n")
        assert ensure(["kubelet"], Progress())["kubelet"].version == f"{minor}.0"

    def test_contents_of_images_never_come_from_the_machine(self, machine: Machine) -> None:
        machine.install_go()
        machine.install("prometheus")
        assert ensure(["prometheus"], Progress())["prometheus"].origin == "built"

    def test_a_changed_module_graph_is_built_again(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        machine.install_go()
        ensure(["helm"], Progress())
        monkeypatch.setattr(gobuild, "fingerprint", lambda _: "another graph")
        assert ensure(["helm"], Progress())["helm"].origin == "built"
        assert len(machine.built()) == 2

    def test_an_official_plugin_of_the_wanted_version_is_never_replaced(self, machine: Machine) -> None:
        folder = installed.plugin_dir() / f"resource-kubernetes-v{versions.PULUMI_KUBERNETES}"
        folder.mkdir(parents=True)
        plugin = folder / "pulumi-resource-kubernetes"
        plugin.write_text("#!/bin/sh\n")
        plugin.chmod(0o755)
        machine.install("pulumi", "#!/bin/sh\necho v3.300.0\n")
        name = "pulumi-resource-kubernetes"
        tools = ensure([name], Progress())
        assert tools[name] == Tool(name, plugin, versions.PULUMI_KUBERNETES, "downloaded")
        assert str(folder) not in environment(tools)["PATH"]

    def test_the_language_host_beside_a_linked_pulumi_is_found(self, machine: Machine, tmp_path: Path) -> None:
        real = tmp_path / "opt"
        real.mkdir()
        for name in ("pulumi", "pulumi-language-python"):
            machine.install(name, "#!/bin/sh\necho v3.300.0\n").rename(real / name)
        (machine.bin / "pulumi").symlink_to(real / "pulumi")
        host = ensure(["pulumi-language-python"], Progress())["pulumi-language-python"]
        assert (host.path, host.origin) == (real / "pulumi-language-python", "PATH")


class TestStandIns:
    def test_they_are_used_only_without_the_official_ones_and_named_in_one_line(
        self, machine: Machine, said: list[str]
    ) -> None:
        machine.install("pulumi", "#!/bin/sh\necho v3.300.0\n")
        machine.install("pulumi-language-python")
        names = ("pulumi-language-python", "pulumi-resource-kubernetes", "pulumi-resource-command")
        tools = ensure(names, Progress())
        assert [tool.origin for tool in tools.values()] == ["PATH", "stand-in", "stand-in"]
        assert said == [
            "using stand-ins for pulumi-resource-kubernetes, pulumi-resource-command: "
            "no official download here (get.pulumi.com: HEAD is refused here)"
        ]

    def test_the_launcher_runs_this_python_on_this_checkout(self, machine: Machine) -> None:
        machine.install("pulumi", "#!/bin/sh\necho v3.300.0\n")
        tools = ensure(["pulumi-resource-kubernetes"], Progress())
        assert tools["pulumi-resource-kubernetes"].path.read_text().splitlines() == [
            "#!/bin/sh",
            f'export PYTHONPATH={PROJECT}"${{PYTHONPATH:+:$PYTHONPATH}}"',
            f'exec {sys.executable} -m tools.plugins.kubernetes "$@"',
        ]

    def test_each_stand_in_has_its_module(self) -> None:
        modules = [spec.stand_in.module for spec in catalog.SPECS.values() if spec.stand_in]
        assert modules == ["tools.plugins.language_python", "tools.plugins.kubernetes", "tools.plugins.command"]

    def test_the_official_plugin_is_asked_for_again_by_the_next_run(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = "pulumi-resource-command"
        folder = installed.plugin_dir() / f"resource-command-v{versions.PULUMI_COMMAND}"
        machine.install(
            "pulumi",
            "#!/bin/sh\n[ $1 = version ] && echo v3.300.0 && exit\n"
            f"/bin/mkdir -p {folder}\n: > {folder}/{name}\n/bin/chmod 755 {folder}/{name}\n",
        )
        assert ensure([name], Progress())[name].origin == "stand-in"
        monkeypatch.setattr(download, "reachable", lambda _: True)
        assert ensure([name], Progress())[name] == Tool(name, folder / name, versions.PULUMI_COMMAND, "downloaded")


class TestEnvironment:
    def test_cached_tools_come_after_everything_installed(self, machine: Machine) -> None:
        machine.install_go()
        tools = ensure(["helm", "promtool"], Progress())
        folders = [str(machine.bin), *(str(tool.path.parent) for tool in tools.values())]
        assert environment(tools)["PATH"].split(os.pathsep) == folders

    def test_plugin_downloads_are_switched_off_only_with_stand_ins(self, tmp_path: Path) -> None:
        tool = Tool("helm", tmp_path / "helm", "3", "built")
        assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in environment({"helm": tool})
        stand_in = Tool("pulumi-resource-command", tmp_path / "plugin", "1", "stand-in")
        result = environment({"helm": tool, "pulumi-resource-command": stand_in})
        assert result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
        assert result["PULUMI_SKIP_UPDATE_CHECK"] == "true"


class TestProblems:
    def test_all_tools_that_need_go_are_named_before_any_work(self, machine: Machine, said: list[str]) -> None:
        assert problems(lambda: ensure(["helm", "kubelet"], Progress())) == [
            f"tool {name}: it is neither installed nor downloadable here, and building it needs Go: "
            f"got no `go` on PATH, allowed Go 1.26 or newer; install Go (https://go.dev/dl/), or {fix}."
            for name, fix in (
                ("helm", "install Helm (https://helm.sh/docs/intro/install/)"),
                ("kubelet", f"put kubelet {versions.KUBERNETES} on PATH"),
            )
        ]
        assert not machine.cache.joinpath("bin").exists()
        assert said == [
            "no official download of helm, kubelet here (get.helm.sh: HEAD is refused here, "
            "dl.k8s.io: HEAD is refused here): building from Go modules"
        ]

    def test_a_full_disk_is_refused_before_the_build(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        machine.install_go()
        monkeypatch.setattr(gobuild, "NEEDED_FREE_BYTES", 1 << 60)
        (sentence,) = problems(lambda: ensure(["promtool"], Progress()))
        assert "too little disk space to build the toolchain" in sentence
        assert sentence.endswith("free some space, or move the cache with MODELWAY_CACHE_DIR.")
        assert machine.built() == []

    def test_a_build_that_fails_shows_the_compilers_words_and_leaves_nothing(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.install_go()
        monkeypatch.setenv("GO_FAILS", "1")
        assert problems(lambda: ensure(["promtool"], Progress())) == [
            "tool promtool: it does not build: got undefined: something, allowed a program from "
            f"github.com/prometheus/prometheus/cmd/promtool {versions.PROMETHEUS}; repair what the message names "
            "and run `python -m tools.toolchain ensure promtool`; or build the images on a machine that has Go."
        ]
        assert list(store.bin_dir().iterdir()) == []

    def test_a_dependency_that_is_not_there_to_be_laid_over_is_said_in_its_own_words(self, machine: Machine) -> None:
        machine.install("go", "#!/bin/sh\necho 'no such host' >&2; exit 1\n")
        assert problems(lambda: ensure(["amtool"], Progress())) == [
            "tool amtool: it does not build: got no such host, allowed a program from "
            f"github.com/prometheus/alertmanager/cmd/amtool {versions.ALERTMANAGER}; repair what the message names "
            "and run `python -m tools.toolchain ensure amtool`; or build the images on a machine that has Go."
        ]
        assert list(store.bin_dir().iterdir()) == []

    def test_a_dependency_is_built_with_the_files_that_are_laid_over_it(self, machine: Machine, tmp_path: Path) -> None:
        """The compiler sees a copy that can be written, with ours in it, and nothing of it stays."""
        origin, seen = tmp_path / "origin", tmp_path / "seen"
        (origin / "ui").mkdir(parents=True)
        (origin / "ui/web.go").write_text("theirs")
        (origin / "ui/web.go").chmod(0o444)
        steps = f"""#!/bin/sh
case "$2" in
  download) echo '{{"Dir": "{origin}"}}'; exit ;;
  edit) echo "$3" | /usr/bin/cut -d= -f3 > {seen}; exit ;;
esac
/bin/cat "$(/bin/cat {seen})/ui/web.go" >> {seen}
"""
        machine.install("go", steps + FAKE_GO.partition("\n")[2])
        ensure(["amtool"], Progress())
        source, ours = seen.read_text().split("\n", 1)
        module = gobuild.MODULES / "alertmanager"
        assert ours == (module / "overlay/ui/web.go").read_text()
        assert not Path(source).exists()
        assert (origin / "ui/web.go").read_text() == "theirs"

    def test_a_pulumi_below_the_minimum_is_refused(self, machine: Machine) -> None:
        path = machine.install("pulumi", "#!/bin/sh\necho v3.99.1\n")
        sentence = (
            f"{path}: the installed pulumi is too old for Modelway: got 3.99.1, allowed {versions.PULUMI_MINIMUM} "
            "or newer; upgrade it, or take it off PATH so that Modelway gets its own."
        )
        assert problems(lambda: ensure(["pulumi"], Progress())) == [sentence]
        assert [str(report.problem) for report in inspect(["pulumi"])] == [sentence]

    def test_an_unknown_name_is_refused_with_a_suggestion(self) -> None:
        (sentence,) = problems(lambda: ensure(["kubctl"], Progress()))
        assert sentence.startswith("tool 'kubctl': there is no such tool: got 'kubctl', allowed kubectl, ")


class TestInspect:
    def test_it_reports_and_changes_nothing(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(*_: object) -> None:
            raise AssertionError("inspect must not use the network or the compiler")

        machine.install_go()
        monkeypatch.setattr(download, "reachable", never)
        monkeypatch.setattr(gobuild, "provide", never)
        monkeypatch.setattr(standin, "provide", never)
        reports = inspect(ENGINE)
        assert [(report.name, report.tool, report.problem) for report in reports] == [(n, None, None) for n in ENGINE]
        assert not machine.cache.exists()

    def test_the_command_line_lists_a_group(self, machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
        machine.install_go()
        helm = machine.install("helm")
        assert command_line.main(["list", "engine"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list(ENGINE)
        assert lines[-1].split() == ["helm", "1.2.3", "PATH", str(helm)]

    @pytest.mark.usefixtures("machine")
    def test_the_command_line_prints_problems_without_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command_line.main(["ensure", "promtool"]) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("tool promtool: ")
        assert output.err.count("\n") == 1

    def test_every_name_of_every_group_is_a_tool(self) -> None:
        assert {name for group in GROUPS.values() for name in group} == set(catalog.SPECS)


class TestTwoRuns:
    ENSURE = "from tools.toolchain import ensure; from tools.progress import Progress; ensure(['promtool'], Progress())"

    @pytest.fixture
    def first(self, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "subprocess.Popen[bytes]":
        """Another process that is in the middle of building promtool."""
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        started = tmp_path / "gate.started"
        os.mkfifo(started)
        machine.install_go()
        monkeypatch.setenv("GO_WAITS", str(gate))
        process = subprocess.Popen([sys.executable, "-c", self.ENSURE], cwd=PROJECT, stderr=subprocess.DEVNULL)
        started.open("rb").close()
        monkeypatch.setenv("GO_WAITS", "")
        return process

    @pytest.mark.parametrize("killed", [False, True])
    def test_the_second_waits_for_the_compiler_of_the_first(
        self, machine: Machine, first: "subprocess.Popen[bytes]", tmp_path: Path, killed: bool, said: list[str]
    ) -> None:
        if killed:
            first.send_signal(signal.SIGKILL)
            first.wait()
        tools: dict[str, Tool] = {}
        second = threading.Thread(target=lambda: tools.update(ensure(["promtool"], Progress())))
        second.start()
        second.join(timeout=0.5)
        assert second.is_alive()
        assert [path.name for path in store.bin_dir().iterdir() if not path.name.startswith(".")] == []
        with (tmp_path / "gate").open("w") as gate:
            gate.write("go on\n")
        second.join(timeout=30)
        first.wait()
        assert tools["promtool"].path.read_text() == "#!/bin/sh\necho 9.9.9\n"
        assert [path.name for path in store.bin_dir().iterdir()] == [f"promtool-{versions.PROMETHEUS}"]
        assert len(machine.built()) == (2 if killed else 1)
        assert any("waiting for another process that fills the cache (go)" in line for line in said)
