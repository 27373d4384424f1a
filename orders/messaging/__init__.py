"""Outbox and inbox on Postgres, shared by orders and payments: what is committed is told, what is told twice counts once."""
