"""The public edge: HTTP for customers and partners, WebSockets for watchers, the web pages."""
