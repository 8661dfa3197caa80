"""From the queue to the table: outbox, forwarder, Kafka, ingest, dead letters.

Start at `forwarder.py` (queue, outbox, producer), then `ingest.py` (consumer, rows).
What every stage promises: nothing is lost, and each result is stored once.
It knows nothing of how results come about, and of incidents only a callable.
"""
