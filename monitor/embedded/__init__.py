"""The PostgreSQL server and the Kafka-protocol broker of a fresh machine, from wheels.

Start at `postgres.py` and `broker.py`; `process.py` starts, watches and ends what both are.
It knows nothing of what is stored in them.
"""
