"""Motion under a storm of kills: riders, customers, what is killed when, and what must hold after."""
