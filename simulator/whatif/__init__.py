"""Another policy on a recorded stretch."""
