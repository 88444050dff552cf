"""EnvoyExtensionPolicy of one model with API keys: both keys of a client are one client."""

from modelway._common import Manifest
from modelway.gateway.policy import CLIENT_HEADER
from modelway.gateway.policy_spec import PolicySpec

# Envoy names a client by the Secret's key, `acme.1`, and Envoy Gateway takes one key a name only (1.9.1). The filter
# runs after the keys and before the rate limit, so that server, limit and log all know `acme`.
SCRIPT = f"""\
function envoy_on_request(request)
  local headers = request:headers()
  local client = headers:get("{CLIENT_HEADER}")
  if client then headers:replace("{CLIENT_HEADER}", string.sub(client, 1, -3)) end
end
"""


def client_id_policy(spec: PolicySpec) -> Manifest | None:
    """The EnvoyExtensionPolicy, or none where no API keys are used."""
    auth = spec.policy.auth
    if auth is None or auth.jwt:
        return None
    return spec.manifest("EnvoyExtensionPolicy", {"lua": [{"type": "Inline", "inline": SCRIPT}]})
