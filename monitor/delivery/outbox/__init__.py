"""Results on disk, from the queue until they may be forgotten.

Start at `collector.py`, then `outbox.py`. It knows nothing of Kafka.
"""
