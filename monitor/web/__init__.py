"""What the program answers to HTTP: pages, an API, and what other programs read."""
