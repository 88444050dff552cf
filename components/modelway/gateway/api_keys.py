"""The Secret with the clients' API keys: Pulumi makes it without a client's key and never touches its content again."""

import base64

import pulumi

from modelway._common import Manifest, labels, register
from modelway.gateway.policy import KEYS_SECRET, NOBODY

UNSENDABLE_KEY = "\n"
"""A header's value has no line feed (RFC 9110, 5.5), so that no request can carry this key. It is no secret."""


def api_keys_manifest(namespace: str) -> Manifest:
    """The Secret that the gateway reads keys from: an entry is named `CLIENT.1` or `CLIENT.2`, its value is the key."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": KEYS_SECRET, "namespace": namespace, "labels": labels("modelway", "api-keys")},
        "data": {NOBODY: base64.b64encode(UNSENDABLE_KEY.encode()).decode()},
    }


def api_keys_secret(namespace: str, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
    """Register the Secret, once a namespace; the policies that name it depend on it."""
    # A changed `data` would replace the Secret, and any update read the clients' keys into the state.
    once = pulumi.ResourceOptions(ignore_changes=["data", "metadata.labels"])
    return register(KEYS_SECRET, api_keys_manifest(namespace), pulumi.ResourceOptions.merge(opts, once))
