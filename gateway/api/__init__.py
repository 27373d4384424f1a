"""HTTP: translate, call one service, map errors."""
