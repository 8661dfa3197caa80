"""Kafka: clients, topics, the reasons of errors, and what aiokafka makes necessary.

Start at `clients.py`. It knows nothing of results.
"""
