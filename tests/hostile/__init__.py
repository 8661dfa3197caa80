"""One hostile thing at a time beside ten healthy monitors: `python -m tests.hostile [--only TEXT]`."""
