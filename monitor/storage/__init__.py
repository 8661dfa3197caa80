"""PostgreSQL: the connection, rows of results, partitions, migrations.

Start at `database.py`, which alone knows asyncpg and what an error of the database means.
It knows rows, not incidents or uptime: what else happens in the transaction of a batch is given to it.
"""
