"""MDRPLib instances in virtual time through the dispatch engine, no network."""
