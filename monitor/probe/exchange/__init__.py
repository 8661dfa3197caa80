"""From connecting to a site to the last byte of its response.

Start at `exchange.py`. Whatever a site sends is bounded here, before a parser sees it. It knows nothing of
what is expected of a response.
"""
