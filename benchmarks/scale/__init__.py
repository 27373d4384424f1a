"""What the planet needs, computed from measured costs; and how the control plane behaves at that size."""
