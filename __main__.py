"""The Pulumi program: `pulumi up -s STACK`."""

from infra.program import main

main()
