"""The kubeconfig of a GKE cluster, as a pure function."""

import json

PLUGIN = "gke-gcloud-auth-plugin"
INSTALL = "https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl#install_plugin"


def gke_kubeconfig(cluster: str, endpoint: str, certificate_authority: str = "") -> str:
    """Kubeconfig that asks the plugin for a token each time and holds none; JSON, which is YAML.

    `endpoint` is a host. The name of a DNS endpoint is certified by a public authority, so it goes without
    `certificate_authority` (https://github.com/crossplane-contrib/provider-upjet-gcp/issues/988).
    """
    exec_plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": PLUGIN,
        "installHint": f"install {PLUGIN} ({INSTALL})",
        "interactiveMode": "Never",
        "provideClusterInfo": True,
    }
    server = {"server": f"https://{endpoint}"}
    if certificate_authority:
        server["certificate-authority-data"] = certificate_authority
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "clusters": [{"name": cluster, "cluster": server}],
        "users": [{"name": cluster, "user": {"exec": exec_plugin}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
    }
    return json.dumps(document, indent=2, sort_keys=True)
