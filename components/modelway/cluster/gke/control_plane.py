"""The control plane."""

import pulumi_gcp as gcp

from modelway.cluster.gke import maintenance
from modelway.cluster.gke.arguments import DEFAULT_CHANNEL, GkeApiAccessArgs, GkeClusterArgs
from modelway.cluster.gke.keys import Key
from modelway.cluster.gke.network import Network
from modelway.cluster.gke.nodes import IMAGE, SCOPES, Nodes, Parts, first_pool_config
from modelway.cluster.gke.site import Site

LOGGED = ("SYSTEM_COMPONENTS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "WORKLOADS")
WATCHED = ("SYSTEM_COMPONENTS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER")


def api_access(args: GkeClusterArgs) -> GkeApiAccessArgs:
    """The way to the API; by name where nothing is said, which only production forbids."""
    by_name: GkeApiAccessArgs = {"dns": True}
    return args.get("api_access", by_name)


def create(site: Site, args: GkeClusterArgs, parts: Parts) -> gcp.container.Cluster:
    """The cluster, without nodes unless Google makes them."""
    autopilot = args.get("autopilot", False)
    inputs = _life(site, args)
    _network(inputs, parts.network)
    _endpoints(inputs, api_access(args))
    _identities(inputs, site, args)
    _hardening(inputs, args, parts.secrets)
    if autopilot:
        _autopilot(inputs, parts.nodes)
    else:
        _standard(inputs, site, args, parts.nodes)
    return gcp.container.Cluster(
        f"{site.name}-control-plane",
        inputs,
        site.child(
            depends_on=[parts.services["container"], parts.secrets.grant, *parts.nodes.grants],
            protect=True,
            # Both describe the first pool, which is gone once the cluster stands.
            ignore_changes=[] if autopilot else ["nodeConfig", "initialNodeCount"],
        ),
    )


def _life(site: Site, args: GkeClusterArgs) -> gcp.container.ClusterArgs:
    window = maintenance.window(args.get("maintenance_window", {}))
    return gcp.container.ClusterArgs(
        name=site.cluster,
        project=site.project,
        location=site.region,
        min_master_version=args["kubernetes_version"],
        release_channel=gcp.container.ClusterReleaseChannelArgs(channel=args.get("release_channel", DEFAULT_CHANNEL)),
        maintenance_policy=gcp.container.ClusterMaintenancePolicyArgs(
            recurring_window=gcp.container.ClusterMaintenancePolicyRecurringWindowArgs(
                start_time=window.start, end_time=window.end, recurrence=window.recurrence
            )
        ),
        deletion_protection=site.production,
        resource_labels=dict(site.labels),
        logging_config=gcp.container.ClusterLoggingConfigArgs(enable_components=list(LOGGED)),
        monitoring_config=gcp.container.ClusterMonitoringConfigArgs(
            enable_components=list(WATCHED),
            # Autopilot's cannot be switched off; elsewhere the stack brings a Prometheus of its own.
            managed_prometheus=gcp.container.ClusterMonitoringConfigManagedPrometheusArgs(
                enabled=args.get("autopilot", False)
            ),
        ),
    )


def _network(inputs: gcp.container.ClusterArgs, network: Network) -> None:
    inputs.network = network.network_id
    inputs.subnetwork = network.subnet_id
    inputs.networking_mode = "VPC_NATIVE"
    inputs.ip_allocation_policy = gcp.container.ClusterIpAllocationPolicyArgs(
        cluster_secondary_range_name=network.pods_range,
        services_secondary_range_name=network.services_range,
        stack_type="IPV4",
    )
    # Dataplane V2: enforces network policies by itself.
    inputs.datapath_provider = "ADVANCED_DATAPATH"


def _endpoints(inputs: gcp.container.ClusterArgs, access: GkeApiAccessArgs) -> None:
    by_name, public = access.get("dns", False), access.get("cidrs") or []
    inputs.private_cluster_config = gcp.container.ClusterPrivateClusterConfigArgs(
        enable_private_nodes=True, enable_private_endpoint=not public
    )
    inputs.control_plane_endpoints_config = gcp.container.ClusterControlPlaneEndpointsConfigArgs(
        dns_endpoint_config=gcp.container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
            allow_external_traffic=by_name,
            # Tokens of service accounts and client certificates stay inside: only IAM lets in from outside.
            enable_k8s_tokens_via_dns=False,
            enable_k8s_certs_via_dns=False,
        ),
        ip_endpoints_config=gcp.container.ClusterControlPlaneEndpointsConfigIpEndpointsConfigArgs(enabled=not by_name),
    )
    if not by_name:
        # Without addresses there is nothing to authorize: GKE gives the block back empty, a change that never ends.
        block = gcp.container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs
        inputs.master_authorized_networks_config = gcp.container.ClusterMasterAuthorizedNetworksConfigArgs(
            cidr_blocks=[block(cidr_block=cidr) for cidr in public] or None,
            # Else every machine of every customer of Google's would count as authorized.
            gcp_public_cidrs_access_enabled=False,
            private_endpoint_enforcement_enabled=True,
        )


def _identities(inputs: gcp.container.ClusterArgs, site: Site, args: GkeClusterArgs) -> None:
    inputs.workload_identity_config = gcp.container.ClusterWorkloadIdentityConfigArgs(
        workload_pool=f"{site.project}.svc.id.goog"
    )
    inputs.master_auth = gcp.container.ClusterMasterAuthArgs(
        client_certificate_config=gcp.container.ClusterMasterAuthClientCertificateConfigArgs(
            issue_client_certificate=False
        )
    )
    if "security_group" in args:
        inputs.authenticator_groups_config = gcp.container.ClusterAuthenticatorGroupsConfigArgs(
            security_group=args["security_group"]
        )
    inputs.anonymous_authentication_config = gcp.container.ClusterAnonymousAuthenticationConfigArgs(mode="LIMITED")
    inputs.rbac_binding_config = gcp.container.ClusterRbacBindingConfigArgs(
        enable_insecure_binding_system_unauthenticated=False, enable_insecure_binding_system_authenticated=False
    )
    inputs.enable_legacy_abac = False


def _hardening(inputs: gcp.container.ClusterArgs, args: GkeClusterArgs, secrets: Key) -> None:
    inputs.database_encryption = gcp.container.ClusterDatabaseEncryptionArgs(state="ENCRYPTED", key_name=secrets.id)
    inputs.binary_authorization = gcp.container.ClusterBinaryAuthorizationArgs(
        evaluation_mode="PROJECT_SINGLETON_POLICY_ENFORCE" if args.get("binary_authorization", True) else "DISABLED"
    )
    inputs.security_posture_config = gcp.container.ClusterSecurityPostureConfigArgs(mode="BASIC")
    # A Service could otherwise claim an address that is not the cluster's.
    inputs.service_external_ips_config = gcp.container.ClusterServiceExternalIpsConfigArgs(enabled=False)
    inputs.enable_kubernetes_alpha = False


def _standard(inputs: gcp.container.ClusterArgs, site: Site, args: GkeClusterArgs, nodes: Nodes) -> None:
    """What GKE refuses or decides by itself under Autopilot."""
    inputs.node_locations = list(args["zones"])
    # GKE makes no cluster without nodes: it gets a smallest pool, hardened like the others, and drops it.
    inputs.remove_default_node_pool = True
    inputs.initial_node_count = 1
    inputs.node_config = first_pool_config(site, nodes)
    inputs.enable_shielded_nodes = True
    inputs.enable_intranode_visibility = True
    # The older way to enforce network policies, which Dataplane V2 replaces.
    inputs.network_policy = gcp.container.ClusterNetworkPolicyArgs(enabled=False)
    # Envoy Gateway brings the Gateway API.
    inputs.gateway_api_config = gcp.container.ClusterGatewayApiConfigArgs(channel="CHANNEL_DISABLED")
    inputs.node_pool_defaults = gcp.container.ClusterNodePoolDefaultsArgs(
        node_config_defaults=gcp.container.ClusterNodePoolDefaultsNodeConfigDefaultsArgs(
            insecure_kubelet_readonly_port_enabled="FALSE"
        )
    )


def _autopilot(inputs: gcp.container.ClusterArgs, nodes: Nodes) -> None:
    inputs.enable_autopilot = True
    inputs.cluster_autoscaling = gcp.container.ClusterClusterAutoscalingArgs(
        auto_provisioning_defaults=gcp.container.ClusterClusterAutoscalingAutoProvisioningDefaultsArgs(
            service_account=nodes.service_account,
            oauth_scopes=list(SCOPES),
            boot_disk_kms_key=nodes.disks_key,
            image_type=IMAGE,
        )
    )
    inputs.node_pool_auto_config = gcp.container.ClusterNodePoolAutoConfigArgs(
        node_kubelet_config=gcp.container.ClusterNodePoolAutoConfigNodeKubeletConfigArgs(
            insecure_kubelet_readonly_port_enabled="FALSE"
        )
    )
