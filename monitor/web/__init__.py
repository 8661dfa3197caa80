"""What the program answers to HTTP: pages for people, an API, and what other programs read.

Start at `site.py`, which has all routes; `server.py` listens, `clients/` is who may connect and ask, and
`running.py` is all that this room knows of the running program. It reads the database through `queries.py`,
and knows nothing of Kafka.
"""
