"""HTTP: the protocol of connections and the middleware of requests."""
