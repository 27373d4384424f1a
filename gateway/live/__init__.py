"""Live tracking over WebSocket: a process of its own."""
