"""Cost of a border through a city, with borrowing and without."""
