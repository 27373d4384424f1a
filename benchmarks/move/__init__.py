"""A city moved again and again under riders, orders and watchers."""
