"""How much of the time a monitor was up: sums by hour and day, reports, maintenance windows.

Start at `sums.py`, which is pure; `store.py` keeps the sums in PostgreSQL.
It knows nothing of incidents and alerts.
"""
