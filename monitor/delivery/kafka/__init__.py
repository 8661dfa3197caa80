"""How this program speaks with Kafka: clients, topics, what an error means, mends of aiokafka.

Start at `clients.py`. It knows nothing of results.
"""
