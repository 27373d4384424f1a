"""Riders lent to a neighbouring city and borrowed from one: docs/adr/0015."""
