"""One check of one URL.

Start at `probe.py`. Whatever a website does is a result with a reason; only trouble of this
machine, or a bug, raises. It knows nothing of queues, Kafka, PostgreSQL, incidents or alerts.
"""
