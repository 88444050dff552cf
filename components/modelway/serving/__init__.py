"""Model servers, one per immutable version, and the service that routes to them."""
