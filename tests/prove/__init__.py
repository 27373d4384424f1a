"""Long proofs on stacks of their own, for `make prove`."""
