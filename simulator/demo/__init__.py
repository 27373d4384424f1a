"""`forno demo`: the whole system on this machine, a city that lives in it, and a report of what really happened."""
