"""What really happened, read from where it is kept: the logs, the databases, the shards. No figure is made up here."""
