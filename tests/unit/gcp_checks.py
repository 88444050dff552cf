"""What the hardened cluster and registry must register on Google Cloud, property by property.

Each function raises `AssertionError` where a recording differs. Tests call them; the mutation test shows that each
property which is taken away is missed by at least one.
"""

from collections.abc import Callable
from typing import Any

from tests.unit import gcp_testing
from tests.unit.gcp_testing import NODES, NUMBER, PROJECT, PUSHER, Recorded

REGION = "europe-west4"
ZONES = [f"{REGION}-{letter}" for letter in "abc"]
PLACE = {"project": PROJECT, "region": REGION}
NETWORK = "${google_compute_network.cluster-network.id}"
SUBNET = "${google_compute_subnetwork.cluster-subnet.id}"
SERVICES = ("binaryauthorization", "cloudkms", "compute", "container", "iam", "logging", "monitoring")


def plain(recorded: Recorded, name: str) -> dict[str, Any]:
    """Inputs without what only names the resource."""
    return {key: value for key, value in recorded.inputs(name).items() if key not in ("description", "displayName")}


def named(recorded: Recorded, typ: str) -> dict[str, dict[str, Any]]:
    """All resources of a type."""
    return {resource.name: plain(recorded, resource.name) for resource in recorded.typed(typ)}


def key_of(role: str, component: str = "cluster") -> str:
    return f"${{google_kms_crypto_key.{component}-{role}-key.id}}"


NODE: dict[str, Any] = {
    "serviceAccount": "${google_service_account.cluster-nodes.email}",
    "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
    "imageType": "COS_CONTAINERD",
    "bootDiskKmsKey": key_of("disks"),
    "metadata": {"disable-legacy-endpoints": "true"},
    "resourceLabels": {"modelway-cluster": "cluster"},
    "shieldedInstanceConfig": {"enableSecureBoot": True, "enableIntegrityMonitoring": True},
    "workloadMetadataConfig": {"mode": "GKE_METADATA"},
    "kubeletConfig": {"insecureKubeletReadonlyPortEnabled": "FALSE"},
}

LIFE: dict[str, Any] = {
    "name": "cluster",
    "project": PROJECT,
    "location": REGION,
    "nodeLocations": ZONES,
    "minMasterVersion": "1.35",
    "releaseChannel": {"channel": "REGULAR"},
    "maintenancePolicy": {
        "recurringWindow": {
            "startTime": "2026-01-03T01:00:00Z",
            "endTime": "2026-01-03T09:00:00Z",
            "recurrence": "FREQ=WEEKLY;BYDAY=SA,SU",
        }
    },
    "deletionProtection": True,
    "resourceLabels": {"modelway-cluster": "cluster"},
    "loggingConfig": {
        "enableComponents": ["SYSTEM_COMPONENTS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "WORKLOADS"]
    },
    "monitoringConfig": {
        "enableComponents": ["SYSTEM_COMPONENTS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER"],
        "managedPrometheus": {"enabled": False},
    },
    "removeDefaultNodePool": True,
    "initialNodeCount": 1,
    "nodeConfig": NODE,
}
NETWORKING = {
    "network": NETWORK,
    "subnetwork": SUBNET,
    "networkingMode": "VPC_NATIVE",
    "ipAllocationPolicy": {
        "clusterSecondaryRangeName": "pods",
        "servicesSecondaryRangeName": "services",
        "stackType": "IPV4",
    },
    "datapathProvider": "ADVANCED_DATAPATH",
    "networkPolicy": {"enabled": False},
    "gatewayApiConfig": {"channel": "CHANNEL_DISABLED"},
    "enableIntranodeVisibility": True,
    "privateClusterConfig": {"enablePrivateNodes": True, "enablePrivateEndpoint": True},
    "controlPlaneEndpointsConfig": {
        "dnsEndpointConfig": {
            "allowExternalTraffic": False,
            "enableK8sTokensViaDns": False,
            "enableK8sCertsViaDns": False,
        },
        "ipEndpointsConfig": {"enabled": True},
    },
    "masterAuthorizedNetworksConfig": {
        "gcpPublicCidrsAccessEnabled": False,
        "privateEndpointEnforcementEnabled": True,
    },
}
HARDENING = {
    "workloadIdentityConfig": {"workloadPool": f"{PROJECT}.svc.id.goog"},
    "masterAuth": {"clientCertificateConfig": {"issueClientCertificate": False}},
    "authenticatorGroupsConfig": {"securityGroup": "gke-security-groups@example.com"},
    "anonymousAuthenticationConfig": {"mode": "LIMITED"},
    "rbacBindingConfig": {
        "enableInsecureBindingSystemUnauthenticated": False,
        "enableInsecureBindingSystemAuthenticated": False,
    },
    "enableLegacyAbac": False,
    "databaseEncryption": {"state": "ENCRYPTED", "keyName": key_of("secrets")},
    "binaryAuthorization": {"evaluationMode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
    "securityPostureConfig": {"mode": "BASIC"},
    "serviceExternalIpsConfig": {"enabled": False},
    "enableKubernetesAlpha": False,
    "enableShieldedNodes": True,
    "nodePoolDefaults": {"nodeConfigDefaults": {"insecureKubeletReadonlyPortEnabled": "FALSE"}},
}


AUTOPILOT = {
    "enableAutopilot": True,
    "clusterAutoscaling": {
        "autoProvisioningDefaults": {
            "serviceAccount": NODE["serviceAccount"],
            "oauthScopes": NODE["oauthScopes"],
            "bootDiskKmsKey": NODE["bootDiskKmsKey"],
            "imageType": "COS_CONTAINERD",
        }
    },
    "nodePoolAutoConfig": {"nodeKubeletConfig": {"insecureKubeletReadonlyPortEnabled": "FALSE"}},
    "monitoringConfig": {**LIFE["monitoringConfig"], "managedPrometheus": {"enabled": True}},
}
NOT_AUTOPILOT = (
    *("nodeLocations", "removeDefaultNodePool", "initialNodeCount", "nodeConfig", "enableShieldedNodes"),
    *("enableIntranodeVisibility", "networkPolicy", "gatewayApiConfig", "nodePoolDefaults"),
)
"""What Autopilot decides by itself; the provider refuses some of it."""

BY_NAME = {
    "controlPlaneEndpointsConfig": {
        "dnsEndpointConfig": {
            "allowExternalTraffic": True,
            "enableK8sTokensViaDns": False,
            "enableK8sCertsViaDns": False,
        },
        "ipEndpointsConfig": {"enabled": False},
    },
}
PUBLIC = {
    "privateClusterConfig": {"enablePrivateNodes": True, "enablePrivateEndpoint": False},
    "masterAuthorizedNetworksConfig": {
        "cidrBlocks": [{"cidrBlock": "203.0.113.0/24"}, {"cidrBlock": "8.8.8.8/32"}],
        "gcpPublicCidrsAccessEnabled": False,
        "privateEndpointEnforcementEnabled": True,
    },
}


def _control_plane(recorded: Recorded, without: tuple[str, ...] = (), **changes: Any) -> None:
    expected = {**LIFE, **NETWORKING, **HARDENING, **changes}
    found = plain(recorded, "cluster-control-plane")
    assert found == {key: value for key, value in expected.items() if key not in without}


def control_plane(recorded: Recorded) -> None:
    _control_plane(recorded)


def autopilot(recorded: Recorded) -> None:
    _control_plane(recorded, NOT_AUTOPILOT, **AUTOPILOT)


def api_by_name(recorded: Recorded) -> None:
    """A cluster without addresses has none to authorize."""
    _control_plane(recorded, ("masterAuthorizedNetworksConfig",), **BY_NAME)


def public_api(recorded: Recorded) -> None:
    _control_plane(recorded, **PUBLIC)


def node_pools(recorded: Recorded) -> None:
    def pool(name: str, least: int, most: int, policy: str, first: int) -> dict[str, Any]:
        return {
            "name": name,
            "project": PROJECT,
            "location": REGION,
            "cluster": "cluster",
            "initialNodeCount": first,
            "autoscaling": {"totalMinNodeCount": least, "totalMaxNodeCount": most, "locationPolicy": policy},
            "management": {"autoRepair": True, "autoUpgrade": True},
            "upgradeSettings": {"strategy": "SURGE", "maxSurge": 1, "maxUnavailable": 0},
            "networkConfig": {"enablePrivateNodes": True},
        }

    gpu = {"type": "nvidia-l4", "count": 2, "gpuDriverInstallationConfig": {"gpuDriverVersion": "DEFAULT"}}
    assert named(recorded, "gcp:container/nodePool:NodePool") == {
        "cluster-pool-base": {
            **pool("base-053cb7", 2, 6, "BALANCED", 1),
            "nodeConfig": {**NODE, "machineType": "n4-standard-4", "spot": False, "diskSizeGb": 50},
        },
        "cluster-pool-arm": {
            **pool("arm-453ec8", 0, 3, "BALANCED", 0),
            "nodeConfig": {
                **NODE,
                "machineType": "c4a-standard-4",
                "spot": False,
                "diskSizeGb": 50,
                "sandboxConfig": {"type": "GVISOR"},
            },
        },
        "cluster-pool-gpu": {
            **pool("gpu-030ace", 0, 4, "ANY", 0),
            "nodeLocations": ["europe-west4-a"],
            "nodeConfig": {
                **NODE,
                "machineType": "g2-standard-24",
                "spot": True,
                "diskSizeGb": 100,
                "guestAccelerators": [gpu],
                "labels": {"modelway.dev/gpu": "l4"},
                "taints": [{"key": "team", "value": "vision", "effect": "NO_EXECUTE"}],
            },
        },
    }


def network(recorded: Recorded) -> None:
    assert plain(recorded, "cluster-network") == {
        "project": PROJECT,
        "autoCreateSubnetworks": False,
        "routingMode": "REGIONAL",
    }
    assert plain(recorded, "cluster-subnet") == {
        **PLACE,
        "network": NETWORK,
        "ipCidrRange": "10.0.0.0/20",
        "secondaryIpRanges": [
            {"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"},
            {"rangeName": "services", "ipCidrRange": "10.8.0.0/20"},
        ],
        "privateIpGoogleAccess": True,
        "logConfig": {
            "aggregationInterval": "INTERVAL_5_MIN",
            "flowSampling": 0.5,
            "metadata": "INCLUDE_ALL_METADATA",
        },
    }


def firewall(recorded: Recorded) -> None:
    assert plain(recorded, "cluster-deny-ingress") == {
        "project": PROJECT,
        "network": NETWORK,
        "direction": "INGRESS",
        "priority": 65534,
        "sourceRanges": ["0.0.0.0/0"],
        "denies": [{"protocol": "all"}],
        "logConfig": {"metadata": "INCLUDE_ALL_METADATA"},
    }


def nat(recorded: Recorded) -> None:
    assert plain(recorded, "cluster-router") == {**PLACE, "network": NETWORK}
    assert plain(recorded, "cluster-nat") == {
        **PLACE,
        "router": "${google_compute_router.cluster-router.name}",
        "natIpAllocateOption": "AUTO_ONLY",
        "sourceSubnetworkIpRangesToNat": "LIST_OF_SUBNETWORKS",
        "subnetworks": [{"name": SUBNET, "sourceIpRangesToNats": ["ALL_IP_RANGES"]}],
        "enableDynamicPortAllocation": True,
        "enableEndpointIndependentMapping": False,
        "logConfig": {"enable": True, "filter": "ERRORS_ONLY"},
    }


def _keys(recorded: Recorded, component: str, users: dict[str, str], labels: dict[str, str]) -> None:
    rings = named(recorded, "gcp:kms/keyRing:KeyRing")
    assert rings == {f"{component}-keys": {"project": PROJECT, "location": REGION}}
    assert named(recorded, "gcp:kms/cryptoKey:CryptoKey") == {
        f"{component}-{role}-key": {
            "keyRing": f"${{google_kms_key_ring.{component}-keys.id}}",
            "purpose": "ENCRYPT_DECRYPT",
            "rotationPeriod": "7776000s",
            "destroyScheduledDuration": "2592000s",
            "labels": labels,
        }
        for role in users
    }
    assert named(recorded, "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember") == {
        f"{component}-{role}-key-user": {
            "cryptoKeyId": key_of(role, component),
            "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter",
            "member": member,
        }
        for role, member in users.items()
    }


def keys(recorded: Recorded) -> None:
    """Each key has one user: GKE that of the Secrets, Compute Engine that of the disks."""
    gke = "${google_project_service_identity.cluster-agent-container.member}"
    compute = f"serviceAccount:service-{NUMBER}@compute-system.iam.gserviceaccount.com"
    _keys(recorded, "cluster", {"secrets": gke, "disks": compute}, {"modelway-cluster": "cluster"})


def roles(recorded: Recorded) -> None:
    """A node has one role in the project and nothing else; nobody else gets any."""
    assert named(recorded, "gcp:serviceaccount/account:Account") == {
        "cluster-nodes": {"project": PROJECT, "accountId": "cluster-nodes"}
    }
    assert named(recorded, "gcp:projects/iAMMember:IAMMember") == {
        "cluster-nodes-role": {
            "project": PROJECT,
            "role": "roles/container.defaultNodeServiceAccount",
            "member": "${google_service_account.cluster-nodes.member}",
        }
    }


def _services(recorded: Recorded, component: str, names: tuple[str, ...], agents: tuple[str, ...]) -> None:
    assert named(recorded, "gcp:projects/service:Service") == {
        f"{component}-service-{name}": {
            "project": PROJECT,
            "service": f"{name}.googleapis.com",
            "disableOnDestroy": False,
        }
        for name in names
    }
    assert named(recorded, "gcp:projects/serviceIdentity:ServiceIdentity") == {
        f"{component}-agent-{name}": {"project": PROJECT, "service": f"{name}.googleapis.com"} for name in agents
    }


def services(recorded: Recorded) -> None:
    _services(recorded, "cluster", SERVICES, ("container",))


def repository(recorded: Recorded) -> None:
    assert plain(recorded, "registry-repository") == {
        "project": PROJECT,
        "location": REGION,
        "repositoryId": "modelway",
        "format": "DOCKER",
        "mode": "STANDARD_REPOSITORY",
        "dockerConfig": {"immutableTags": True},
        "kmsKeyName": key_of("images", "registry"),
        "vulnerabilityScanningConfig": {"enablementConfig": "INHERITED"},
        "cleanupPolicies": [
            {"id": "untagged", "action": "DELETE", "condition": {"tagState": "UNTAGGED", "olderThan": "1209600s"}},
            {"id": "newest", "action": "KEEP", "mostRecentVersions": {"keepCount": 50}},
        ],
        "cleanupPolicyDryRun": False,
        "labels": {"modelway-registry": "modelway"},
    }


def registry_roles(recorded: Recorded) -> None:
    """Nodes pull, CI pushes; each role is held by nobody else."""
    repository_name = "${google_artifact_registry_repository.registry-repository.name}"
    common = {"project": PROJECT, "location": REGION, "repository": repository_name}
    assert named(recorded, "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding") == {
        "registry-nodes-pull": {
            **common,
            "role": "roles/artifactregistry.reader",
            "members": [f"serviceAccount:{NODES}"],
        },
        "registry-ci-pushes": {
            **common,
            "role": "roles/artifactregistry.writer",
            "members": [f"serviceAccount:{PUSHER}"],
        },
    }


def registry_keys(recorded: Recorded) -> None:
    user = "${google_project_service_identity.registry-agent-artifactregistry.member}"
    _keys(recorded, "registry", {"images": user}, {"modelway-registry": "modelway"})


def registry_services(recorded: Recorded) -> None:
    _services(recorded, "registry", ("artifactregistry", "cloudkms", "containerscanning"), ("artifactregistry",))


def variants() -> dict[str, tuple[dict[str, Any], Callable[[Recorded], None]]]:
    """Arguments of other clusters than production's, and what their control planes are."""
    cidrs = ["203.0.113.0/24", "8.8.8.8/32"]
    return {
        "autopilot": (gcp_testing.autopilot(), autopilot),
        "api-by-name": (gcp_testing.without(api_access={"dns": True}), api_by_name),
        "public-api": (gcp_testing.without(api_access={"cidrs": cidrs}), public_api),
    }


CLUSTER_CHECKS = (control_plane, node_pools, network, firewall, nat, keys, roles, services)
REGISTRY_CHECKS = (repository, registry_roles, registry_keys, registry_services)
