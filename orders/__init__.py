"""Orders and payments, and the saga between them."""
