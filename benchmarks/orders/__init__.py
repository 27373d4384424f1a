"""How fast orders are placed, durably, with everything around them running."""
