"""What each event of the log changes in a draft: one function an event, by what it is about."""
