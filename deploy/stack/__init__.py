"""The local stack: `forno up`."""
