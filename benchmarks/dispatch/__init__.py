"""Quality and speed of dispatch decisions."""
