"""The databases of the whole system and their migrations: `forno db`."""
