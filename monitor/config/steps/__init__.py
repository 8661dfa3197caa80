"""What is written in the steps of a monitor: texts with names of saved values, bodies, and their mistakes.

Start at `templates.py`; the keys of a step are in `monitor/config/model.py`. It knows nothing of responses.
"""
