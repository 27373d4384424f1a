"""Recent orders in Redis: never the truth, never waited for long."""
