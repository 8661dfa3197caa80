"""Who may connect and ask: connections, requests, addresses, tokens. All of it comes before any page.

Start at `connections.py`, then `access.py`. It knows nothing of what pages show.
"""
