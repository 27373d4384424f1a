"""Speed of motion: from a rider's fix to a customer's screen, each hop beside its peer."""

import os

# Hundreds of streams end at once when a server of a bench does, and gRPC would tell of each. It reads this when loaded.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
