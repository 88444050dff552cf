"""HTTPS through the real gateway: versions, chain, redirect, HSTS, a renewal under load, and what is left of it."""

import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from modelway.gateway.tls import Tls
from modelway.gateway.tls_objects import certificate_objects

from tests.cluster.load import Load
from tests.cluster.stack import FULL, PORTS, PROJECT, Stack

pytestmark = pytest.mark.cluster

HOST = "127.0.0.1"
PORT = int(PORTS["MODELWAY_GATEWAY_TLS_PORT"])
PLAIN = f"http://{HOST}:{PORTS['MODELWAY_GATEWAY_PORT']}"
HOSTS = ["models.example.com", "localhost", HOST]
RATE, SECONDS = 20.0, 60 if FULL else 15
ASK = """
import sys
from pathlib import Path
from rich.console import Console
from infra import asking, deploy
work = deploy.job("node", Console(stderr=True), Path(sys.argv[1]))
print(deploy.up(work).curl)
print(asking.predict(work, "breast-cancer", None, None, "path")["model"])
"""


@dataclass(frozen=True)
class Secure:
    """The stack with HTTPS on, and one more model."""

    stack: Stack
    project: Path
    urls: list[str]
    authority: Path

    @property
    def trust(self) -> ssl.SSLContext:
        """A client that trusts the gateway's own authority and nothing else."""
        return ssl.create_default_context(cafile=self.authority)

    def certificate(self) -> x509.Certificate:
        """The one that is served now to a new client, checked against authority and host."""
        with socket.create_connection((HOST, PORT)) as raw, self.trust.wrap_socket(raw, server_hostname=HOST) as tls:
            content = tls.getpeercert(binary_form=True)
        assert content is not None
        return x509.load_der_x509_certificate(content)

    def get(self, url: str) -> httpx.Response:
        """The answer to one GET."""
        return httpx.get(url, verify=self.trust, trust_env=False)


@pytest.fixture(scope="module")
def secure(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """The stack with HTTPS; afterwards it is as before, made anew."""
    project = tmp_path_factory.mktemp("tls") / "project"
    model = {"name": "safe", "versions": [{"name": "v1", "image": stack.lock()["breast-cancer:v1"]}]}
    urls = stack.up_with(model, project, gateway={"tls": {"hosts": HOSTS}})
    # Not all of the state: containerd deletes folders of its own meanwhile.
    (authority,) = (stack.state / "stacks").rglob("gateway-ca.crt")
    yield Secure(stack, project, urls, authority)
    stack.modelway("up", "node")


def handshake(secure: Secure, version: ssl.TLSVersion) -> str | None:
    """Version that was agreed on with a client that speaks only `version`; None when the gateway refuses."""
    context = secure.trust
    # The client's own library must not be what refuses an old version.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    try:
        with socket.create_connection((HOST, PORT)) as raw, context.wrap_socket(raw, server_hostname=HOST) as tls:
            return tls.version()
    except ssl.SSLError as error:
        # Anything else, such as a library here that speaks no such version itself, would be no refusal.
        if error.reason != "TLSV1_ALERT_PROTOCOL_VERSION":
            raise
        return None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_are_refused_and_new_ones_spoken(secure: Secure) -> None:
    spoken = {version.name: handshake(secure, version) for version in ssl.TLSVersion if version.value > 0x300}
    assert spoken == {"TLSv1": None, "TLSv1_1": None, "TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}


def test_the_certificate_fits_its_hosts_and_is_signed_by_the_authority_alone(secure: Secure) -> None:
    served = secure.certificate()
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"models.example.com", "localhost"}
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [HOST]
    authority = x509.load_pem_x509_certificate(secure.authority.read_bytes())
    served.verify_directly_issued_by(authority)
    assert (served.not_valid_after_utc - served.not_valid_before_utc).days == 90
    assert b"PRIVATE" not in secure.authority.read_bytes()
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(secure.urls[0], verify=ssl.create_default_context(), trust_env=False)


@pytest.mark.usefixtures("secure")
def test_plain_http_only_redirects() -> None:
    for path in ("/safe/predict?a=b", "/breast-cancer/v2/predict", "/nothing"):
        answer = httpx.post(f"{PLAIN}{path}", json={}, trust_env=False)
        assert (answer.status_code, answer.headers["location"]) == (301, f"https://{HOST}:{PORT}{path}")
        # RFC 6797, 7.2: never over plain HTTP.
        assert "strict-transport-security" not in answer.headers


def test_browsers_are_told_to_use_https_only_on_good_answers_and_on_errors(secure: Secure) -> None:
    row = secure.stack.reference("v1")["rows"][0]
    good = httpx.post(secure.urls[0], json=row, verify=secure.trust, trust_env=False)
    wrong = httpx.post(secure.urls[0], json={"no": "feature"}, verify=secure.trust, trust_env=False)
    lost = secure.get(f"https://{HOST}:{PORT}/nothing")
    assert [good.status_code, wrong.status_code, lost.status_code] == [200, 422, 404]
    for answer in (good, wrong, lost):
        assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"]


def test_up_prints_a_command_that_works_and_predict_trusts_the_gateway(secure: Secure) -> None:
    command = [sys.executable, "-c", ASK, str(secure.project)]
    done = subprocess.run(
        command, cwd=PROJECT, env=dict(secure.stack.environment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    curl, model = done.stdout.splitlines()
    assert model == "breast-cancer"
    assert f"--cacert {secure.authority} https://{HOST}:{PORT}/" in curl
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["model"] == "breast-cancer"


def renew(stack: Stack) -> None:
    """Ask cert-manager for a new certificate now, as `cmctl renew` does: by the condition `Issuing`."""
    read = ["--namespace=modelway-gateway", "get", "certificate", "modelway", "--output=json"]
    conditions = json.loads(stack.kubectl(*read))["status"]["conditions"]
    asked = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "a test asks for it",
        "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    patch = {"status": {"conditions": [*(each for each in conditions if each["type"] != "Issuing"), asked]}}
    stack.kubectl(
        *("--namespace=modelway-gateway", "patch", "certificate", "modelway", "--subresource=status"),
        *("--type=merge", f"--patch={json.dumps(patch)}"),
    )


def test_a_renewal_under_load_loses_no_request(secure: Secure, figure: Callable[[str], None]) -> None:
    row: dict[str, Any] = secure.stack.reference("v1")["rows"][0]
    before = secure.certificate()
    started = time.monotonic()
    kept = Load(secure.urls[0], row, RATE, verify=secure.trust)
    fresh = Load(secure.urls[0], row, RATE, {"connection": "close"}, verify=secure.trust)
    with kept as on_kept, fresh as on_new:
        renew(secure.stack)
        while secure.certificate().serial_number == before.serial_number:
            assert time.monotonic() - started < 60, "the new certificate is not served after 60 s"
        served = time.monotonic() - started
        # The load runs on over the change, on connections that were open before and on new ones.
        time.sleep(max(0.0, SECONDS - served))
    after = secure.certificate()
    assert after.public_key() != before.public_key()
    assert after.not_valid_before_utc >= before.not_valid_before_utc
    sent, failures = on_kept.sent + on_new.sent, on_kept.failures + on_new.failures
    figure(f"renewal: {sent} requests, {len(failures)} failed, new certificate served after {served:.1f} s")
    assert failures == []
    assert min(on_kept.sent, on_new.sent) >= RATE * SECONDS * 0.8


def test_the_webhook_takes_what_acme_needs_and_refuses_what_is_wrong(secure: Secure) -> None:
    tls = Tls(hosts=("models.example.com",), issuer="acme", acme={"email": "ops@example.com"})
    issuer, certificate = certificate_objects("acme", "modelway-gateway", tls).values()
    dry = ("create", "--dry-run=server", "--output=name", "--filename=-")
    for manifest in (issuer, certificate):
        assert "/acme" in secure.stack.kubectl(*dry, stdin=json.dumps(manifest))
    issuer["spec"]["selfSigned"] = {}
    with pytest.raises(AssertionError, match=r'webhook\.cert-manager\.io" denied the request'):
        secure.stack.kubectl(*dry, stdin=json.dumps(issuer))


def test_down_leaves_nothing_of_it(secure: Secure) -> None:
    stack = secure.stack
    made = (
        "crds,clusterroles,clusterrolebindings,namespaces,mutatingwebhookconfigurations,validatingwebhookconfigurations"
    )
    assert "cert-manager" in stack.kubectl("get", made, "--output=name")
    stack.modelway("down", "node")
    left = stack.kubectl("get", made, "--output=name").splitlines()
    # What of ours is left belongs to the node.
    assert [name for name in left if "cert-manager" in name or "modelway-" in name] == []
    kept = stack.kubectl("get", "leases,roles,rolebindings,secrets", "--all-namespaces", "--output=name").splitlines()
    assert [name for name in kept if "cert-manager" in name] == []
