"""The restaurant's side of an order: its board, its answers, how long it takes."""
