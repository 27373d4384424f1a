"""Adapters of payments to Postgres, Kafka and the providers."""
