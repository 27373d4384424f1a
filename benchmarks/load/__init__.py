"""Locust against the whole system: riders' gRPC streams, orders over HTTP, watchers over WebSocket."""
