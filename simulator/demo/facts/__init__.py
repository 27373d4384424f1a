"""Facts read from where they are kept: the logs, the databases, the shards. No figure is made up here."""
