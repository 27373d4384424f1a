"""Adapters of live tracking's ports to Redis and gRPC."""
