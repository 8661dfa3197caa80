"""A check of several requests, which share cookies and values.

Start at `probe.py`. Each step is a check of its own by `monitor/probe/probe.py`; nothing here knows how a
request is sent or judged.
"""
