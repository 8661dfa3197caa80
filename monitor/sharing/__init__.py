"""Which process of a location checks which slot: assignments and instants in, "mine" or "not mine" out.

Start at `process.py` (what one process decides), then `leader.py` (who gets what). All of it is pure:
instants are arguments. It knows nothing of asyncio and Kafka: what carries its bytes is in `delivery/`.
"""
