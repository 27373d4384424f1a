"""Where the ports of the HTTP edge meet servers."""
