"""Where payments meet Postgres, Kafka and the providers."""
