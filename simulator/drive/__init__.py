"""Thin drivers that carry the city's behaviour to the public APIs: rider streams, HTTP, WebSocket."""
