"""Send idle riders to where orders are expected from history up to now."""
