"""Payments: authorise, capture, void and refund, each once, whatever is lost or repeated on the way."""
