"""How a city behaves: riders, kitchens, customers. Pure: time and randomness come in, actions go out."""
