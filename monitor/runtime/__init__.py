"""How an asyncio program stays honest: tasks that cannot fail unseen, bounded waits, progress, signals.

Start at `tasks.py`. Everybody may use this room.
It knows nothing of websites, Kafka or PostgreSQL, and imports no other room.
"""
