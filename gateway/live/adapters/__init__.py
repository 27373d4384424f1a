"""Where the ports of live tracking meet Redis and gRPC."""
