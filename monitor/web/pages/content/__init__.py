"""What pages show, worked out from what was read: states, histories, charts, timelines. All of it is pure.

Start at `states.py`. It knows nothing of requests and templates.
"""
