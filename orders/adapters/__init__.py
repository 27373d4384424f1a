"""Where the order desk meets databases, Kafka and the other services."""
