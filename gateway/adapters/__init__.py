"""Adapters of the HTTP API's ports."""
