"""Inbox, shared by orders and payments: what is told twice counts once."""
