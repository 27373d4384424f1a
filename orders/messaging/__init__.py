"""Outbox and inbox, shared by orders and payments: what is committed is told, what is told twice counts once."""
