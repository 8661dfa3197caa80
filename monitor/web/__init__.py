"""What the program answers to HTTP."""
