"""What a border through a city costs, with borrowing and without."""
