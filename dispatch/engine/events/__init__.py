"""Apply events of the log to a draft: one function an event."""
