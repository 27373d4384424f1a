"""The four servers Forno stands on: how each is found, started, and asked for its version."""
