"""The images that the node ground runs, each made from the real program: nothing is pulled.

Every program is one file; a layer with a user, a writable `/tmp` and, where it calls out, the public CA
certificates is all it needs besides. Entry points and users are those of the official images.
"""

import json
import tarfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tools.images import base, judge, oci, pause
from tools.images.registry import Registry, node_registry
from tools.paths import cache_dir, state_dir
from tools.progress import Progress
from tools.toolchain import Tool, ensure, versions
from tools.toolchain.store import fingerprint, locked, write_atomically

_RECIPE = "1"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_NOBODY = "65534:65534"
_NONROOT = "65532:65532"
_GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2")
_IDENTITY = {
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/tmp:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\nnobody:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


@dataclass(frozen=True)
class Recipe:
    """How one image is made."""

    name: str
    """Without a host: `envoyproxy/envoy:v1.40.0`."""
    programs: Mapping[str, str]
    """Tools by their place in the image."""
    run: oci.RunConfig
    folders: Mapping[str, int]
    """Writable folders besides `/tmp`, each with its owner's user id."""
    glibc: bool = False
    """The program is linked against glibc, which comes from the base image."""
    certificates: bool = True
    """Whether it gets the public CA certificates, which come from the base image."""


PAUSE = Recipe(
    "pause:3.10", {"pause": "pause"}, oci.RunConfig(entrypoint=("/pause",), user="65535:65535"), {}, certificates=False
)
COREDNS = Recipe(
    f"coredns:v{versions.COREDNS}",
    {"coredns": "coredns"},
    oci.RunConfig(entrypoint=("/coredns",), user=_NONROOT, workdir="/", ports=("53/tcp", "53/udp")),
    {},
    certificates=False,
)
METRICS_SERVER = Recipe(
    f"metrics-server:v{versions.METRICS_SERVER}",
    {"metrics-server": "metrics-server"},
    oci.RunConfig(entrypoint=("/metrics-server",), user=_NOBODY),
    {},
    certificates=False,
)
GATEWAY = Recipe(
    f"envoyproxy/gateway:v{versions.ENVOY_GATEWAY}",
    {"envoy-gateway": "usr/local/bin/envoy-gateway"},
    oci.RunConfig(entrypoint=("/usr/local/bin/envoy-gateway",), user=_NONROOT),
    {"var/lib/eg": 65532},
)
ENVOY = Recipe(
    f"envoyproxy/envoy:v{versions.ENVOY}",
    {"envoy": "usr/local/bin/envoy"},
    oci.RunConfig(entrypoint=("/usr/local/bin/envoy",), user=_NONROOT, ports=("10000/tcp",)),
    {},
    glibc=True,
)
CERT_MANAGER = tuple(
    Recipe(
        f"jetstack/cert-manager-{command}:v{versions.CERT_MANAGER}",
        {"cert-manager": "cert-manager"},
        oci.RunConfig(entrypoint=("/cert-manager", command), user=_NONROOT),
        {},
        certificates=False,
    )
    for command in ("controller", "webhook", "cainjector", "startupapicheck")
)
"""Four images of one program, since the chart says arguments only, no command."""
KEDA = tuple(
    Recipe(
        f"kedacore/{name}:{versions.KEDA}",
        {tool: program},
        oci.RunConfig(entrypoint=(f"/{program}",), user=_NONROOT),
        {},
        certificates=False,
    )
    for name, tool, program in (
        ("keda", "keda-operator", "keda"),
        ("keda-metrics-apiserver", "keda-adapter", "keda-adapter"),
    )
)
"""Only where a stack scales by more than CPU: they take longer to build than all others together."""
PROMETHEUS = Recipe(
    f"prom/prometheus:v{versions.PROMETHEUS}",
    {"prometheus": "bin/prometheus", "promtool": "bin/promtool"},
    oci.RunConfig(
        entrypoint=("/bin/prometheus",),
        command=("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"),
        user=_NOBODY,
        workdir="/prometheus",
        ports=("9090/tcp",),
    ),
    {"prometheus": 65534, "etc/prometheus": 65534},
)
ALERTMANAGER = Recipe(
    f"prom/alertmanager:v{versions.ALERTMANAGER}",
    {"alertmanager": "bin/alertmanager", "amtool": "bin/amtool"},
    oci.RunConfig(
        entrypoint=("/bin/alertmanager",),
        command=("--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"),
        user=_NOBODY,
        workdir="/alertmanager",
        ports=("9093/tcp",),
    ),
    {"alertmanager": 65534, "etc/alertmanager": 65534},
)
"""Only where a stack has receivers of alerts."""
LOG_COLLECTOR = Recipe(
    f"otel/opentelemetry-collector-contrib:{versions.OTEL_COLLECTOR}",
    {"otel-collector": "otelcol-contrib"},
    oci.RunConfig(entrypoint=("/otelcol-contrib",), user=_NONROOT),
    {},
)
"""Only where a stack sends its logs somewhere; with fewer components than its namesake."""
NODE = {
    f"registry.k8s.io/{PAUSE.name}": PAUSE,
    f"registry.k8s.io/coredns/{COREDNS.name}": COREDNS,
    f"registry.k8s.io/metrics-server/{METRICS_SERVER.name}": METRICS_SERVER,
}
"""What a node needs before it is ready, by the names that the manifests use."""
PUSHED = (GATEWAY, ENVOY, *CERT_MANAGER, PROMETHEUS)
"""What is pushed to the node's registry, besides the base image."""


def node_archives(progress: Progress) -> list[Path]:
    """Archives of pause, CoreDNS and metrics-server for `ctr --namespace k8s.io images import`.

    They need neither root nor the base image. Raises ProblemError when a program cannot be had.
    """
    store = oci.Store()
    archives = []
    with locked(oci.LOCK, progress):
        images = _images(store, tuple(NODE.values()), None, progress)
        for (name, _), image in zip(NODE.items(), images, strict=True):
            digest = image.manifest.digest.removeprefix("sha256:")[:12]
            stem = name.rpartition("/")[2].replace(":", "-")
            file = cache_dir() / "images" / "archives" / f"{stem}-{digest}.tar"
            if not file.exists():
                store.archive(image, name, file)
                for old in set(file.parent.glob(f"{stem}-*.tar")) - {file}:
                    old.unlink()
            archives.append(file)
    return archives


def system_images(
    progress: Progress,
    *,
    scaling: bool = False,
    judging: bool = False,
    alerting: bool = False,
    logging: bool = False,
) -> dict[str, str]:
    """Make the images of the gateway, the proxy, cert-manager, Prometheus and the base, with `scaling` KEDA's, with
    `judging` that of the rollout judge, with `alerting` Alertmanager's and with `logging` that of the log collector,
    and push them to the registry.

    What is made or pushed already is left alone. Returns references by digest, by the images' public names, and
    writes them to `node/images.json` of the state folder. Raises ProblemError when a program cannot be had, the
    disk is full or the registry does not answer.
    """
    store = oci.Store()
    with closing(Registry(node_registry())) as registry:
        # Ask first: a registry that is down must not cost the minutes of a build.
        registry.digest("modelway/python", "3.11")
        with locked(oci.LOCK, progress):
            foundation = base.base_image(store, progress)
            chosen = (
                *(KEDA if scaling else ()),
                *((ALERTMANAGER,) if alerting else ()),
                *((LOG_COLLECTOR,) if logging else ()),
            )
            recipes = (*PUSHED, *chosen)
            images = [*_images(store, recipes, foundation, progress), foundation]
            references = {image.name: _push(registry, store, image, progress) for image in images}
    if judging:
        references[judge.NAME] = judge.judge_image(progress)
    text = json.dumps(references, indent=1, sort_keys=True) + "\n"
    write_atomically(state_dir() / "node" / "images.json", text)
    return references


def _push(registry: Registry, store: oci.Store, image: oci.Image, progress: Progress) -> str:
    known = registry.known(image)
    if known is not None:
        return known
    with progress.step(f"pushing {image.name} to {registry.host}"):
        return registry.push(store, image)


def _images(
    store: oci.Store, recipes: tuple[Recipe, ...], foundation: oci.Image | None, progress: Progress
) -> list[oci.Image]:
    names = [name for recipe in recipes for name in recipe.programs if name != "pause"]
    tools = ensure(names, progress)
    if any("pause" in recipe.programs for recipe in recipes):
        tools = {**tools, "pause": pause.program(progress)}
    images = []
    for recipe in recipes:
        key = _key(recipe, tools, foundation)
        image = store.find(recipe.name, key)
        if image is None:
            with progress.step(f"image {recipe.name}"):
                layers = _layers(store, recipe, tools, foundation)
                image = store.add_image(recipe.name, key, layers, recipe.run, base.architecture())
                store.sweep()
        images.append(image)
    return images


def _key(recipe: Recipe, tools: Mapping[str, Tool], foundation: oci.Image | None) -> str:
    """Programs count by path, size and time of change: reading them all would cost a second on every run."""
    programs = [(name, str(tools[name].path), tools[name].path.stat()) for name in recipe.programs]
    stamps = [f"{name} {path} {status.st_size} {status.st_mtime_ns}" for name, path, status in programs]
    uses_base = recipe.glibc or recipe.certificates
    return fingerprint(
        _RECIPE,
        repr(recipe),
        *stamps,
        foundation.manifest.digest if foundation and uses_base else "",
        base.architecture(),
    )


def _layers(
    store: oci.Store, recipe: Recipe, tools: Mapping[str, Tool], foundation: oci.Image | None
) -> list[oci.Descriptor]:
    system = [oci.Entry(path, text.encode(), 0o644) for path, text in _IDENTITY.items()]
    system.append(oci.Entry("tmp", None, 0o1777))
    system += [oci.Entry(path, None, 0o755, uid, uid) for path, uid in recipe.folders.items()]
    if foundation is not None and (recipe.certificates or recipe.glibc):
        system += _from_base(store, foundation, recipe)
    programs = [oci.Entry(place, tools[name].path) for name, place in recipe.programs.items()]
    return [store.add_layer(system), store.add_layer(programs)]


def _from_base(store: oci.Store, foundation: oci.Image, recipe: Recipe) -> list[oci.Entry]:
    """Certificates and, if wanted, the C library with its loader, out of the base image's only layer."""
    wanted = {_CERTIFICATES} if recipe.certificates else set()
    entries = []
    with tarfile.open(store.path(store.blobs(foundation.manifest)[1].digest)) as tar:
        for member in tar:
            library = Path(member.name)
            is_glibc = recipe.glibc and (library.name in _GLIBC or library.name.startswith("ld-linux-"))
            if member.name not in wanted and not (is_glibc and member.name.startswith("usr/lib")):
                continue
            source = tar.extractfile(member) if member.isreg() else None
            content = source.read() if source else member.linkname
            entries.append(oci.Entry(member.name, content, member.mode))
    links = ("lib", "lib64") if recipe.glibc else ()
    return [*entries, *(oci.Entry(link, f"usr/{link}") for link in links)]
