"""Needs of the planet, computed from measured costs; and the control plane at that size."""
