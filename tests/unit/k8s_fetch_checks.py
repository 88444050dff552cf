"""What versions that fetch their model must say, stated without the code that writes them; see `k8s_checks`."""

from typing import Any

from tests.unit.k8s_checks import COMPONENT, Objects
from tests.unit.k8s_facts import FETCHED, MODEL_FOLDER, SUM, versions

CREDENTIALS = "/var/run/secrets/modelway/source"
SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
SETTINGS: dict[str, dict[str, str]] = {
    "bucket": {
        "SOURCE": "s3://models/iris",
        "CREDENTIALS_FILE": f"{CREDENTIALS}/credentials",
        "ENDPOINT": "http://store.storage.svc:9000",
        "REGION": "eu-central-1",
    },
    "google": {"SOURCE": "gs://models/iris"},
    "amazon": {"SOURCE": "s3://models/iris"},
    "web": {"SOURCE": "https://models.example:8443/iris", "CREDENTIALS_FILE": f"{CREDENTIALS}/credentials"},
    "address": {"SOURCE": "http://192.0.2.9/iris"},
    "volume": {"SOURCE": "file:///iris"},
}
ANNOTATIONS = {"google": {"iam.gke.io/gcp-service-account": "models@project.iam.gserviceaccount.com"}}
MEBIBYTES = {"bucket": 64}


def _volumes(name: str) -> dict[str, dict[str, Any]]:
    """Volumes by name that have to do with the model."""
    found: dict[str, dict[str, Any]] = {"model": {"emptyDir": {"sizeLimit": f"{MEBIBYTES.get(name, 2048)}Mi"}}}
    if "CREDENTIALS_FILE" in SETTINGS[name]:
        items = [{"key": "file", "path": "credentials"}]
        found["source-credentials"] = {"secret": {"secretName": "store", "items": items, "defaultMode": 0o440}}
    if name == "volume":
        found["source"] = {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    return found


def fetching(objects: Objects) -> None:
    """One init container, of the server's image, alone with the credentials; it writes what the server only reads."""
    for version in versions(objects.name):
        pod = objects.named("Deployment", version.full_name)["spec"]["template"]["spec"]
        if version.model != FETCHED:
            assert "initContainers" not in pod
            continue
        expected = _volumes(version.name)
        (container,), (server,) = pod["initContainers"], pod["containers"]
        places = {"model": MODEL_FOLDER, "source-credentials": CREDENTIALS, "source": "/source"}
        mounts = [
            {"name": name, "mountPath": places[name], **({} if name == "model" else {"readOnly": True})}
            for name in expected
        ]
        size = MEBIBYTES.get(version.name, 2048) * 2**20
        settings = {**SETTINGS[version.name], "SHA256": SUM, "TARGET": MODEL_FOLDER, "MAX_BYTES": str(size)}
        env = {each["name"]: each["value"] for each in container.pop("env")}
        assert env == {f"MODELWAY_FETCH_{name}": value for name, value in settings.items()}
        assert container == {
            "name": "fetch",
            "image": server["image"],
            "imagePullPolicy": "IfNotPresent",
            "command": ["/opt/venv/bin/python3", "-m", "modelway_server.fetch"],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
            "securityContext": SECURITY,
            "volumeMounts": mounts,
        }
        container["env"] = [{"name": name, "value": value} for name, value in env.items()]
        found = {volume["name"]: volume for volume in pod["volumes"] if volume["name"] != "tmp"}
        assert found == {name: {"name": name, **volume} for name, volume in expected.items()}
        assert {"name": "model", "mountPath": MODEL_FOLDER, "readOnly": True} in server["volumeMounts"]
        assert {"name": "MODELWAY_MODEL_DIR", "value": MODEL_FOLDER} in server["env"]


def identities(objects: Objects) -> None:
    """An account is somebody's in a cloud only where the model is fetched as that somebody."""
    for account in objects.of("ServiceAccount"):
        if account["metadata"]["labels"][COMPONENT] == "model-server":
            own = {version.full_name: ANNOTATIONS.get(version.name) for version in versions(objects.name)}
            assert account["metadata"].get("annotations") == own[account["metadata"]["name"]]


CHECKS = (fetching, identities)
