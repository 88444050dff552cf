"""Entry of the policy pack: `pulumi preview --policy-pack policies`."""

from modelway_policies.server import main

main()
