"""The screen of a restaurant over WebSocket: its board, kept up to date, and its answers."""
