"""Inbox and listener, shared by orders and payments: what is told twice counts once."""
