"""What another policy would have done with a recorded stretch."""
