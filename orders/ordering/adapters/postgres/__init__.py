"""Orders in Postgres."""
