"""Behaviour of a city: riders, kitchens, customers. Pure: time and randomness come in, actions go out."""
