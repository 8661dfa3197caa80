"""One check of one URL.

Start at `probe.py`. Whatever a website does is a result with a reason; only a bug of ours raises.
It knows nothing of queues, Kafka, PostgreSQL, incidents or alerts.
"""
