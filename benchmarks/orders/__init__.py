"""Rate at which orders are placed, durably, with everything around them running."""
