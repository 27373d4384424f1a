"""A stretch of a city's life in one file: what its ticks read, and what they decided."""
