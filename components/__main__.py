"""Component host: serves the components to programs in any language."""

import modelway
from pulumi.provider.experimental import component_provider_host

if __name__ == "__main__":
    component_provider_host(
        [getattr(modelway, name) for name in modelway.COMPONENTS], "modelway", version=modelway.__version__
    )
