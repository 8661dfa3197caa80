"""Who is alerted of a change, by which channel, and when.

Start at `sender.py`: decide, claim, send, retry. `decision.py` is pure, `channels/` has the ways to people.
It reads stored changes, so that a crash can repeat an alert but never lose one.
It knows nothing of checks and of Kafka.
"""
