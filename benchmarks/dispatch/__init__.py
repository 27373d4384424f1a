"""How good and how fast dispatch decides."""
