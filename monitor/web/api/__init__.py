"""The API under `/api/v1`.

Start at `api.py`, which lists all its parts; `parameters.py` reads requests, `problems.py` answers bad ones.
"""
