"""Names of the EKS add-ons, without the AWS SDK."""

ALL = ("eks-pod-identity-agent", "kube-proxy", "vpc-cni", "coredns", "aws-ebs-csi-driver", "metrics-server")

AUTO_MODE = ("metrics-server",)
"""Auto Mode brings the others itself."""
