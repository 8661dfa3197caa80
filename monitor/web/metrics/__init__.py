"""What Prometheus reads: `/metrics` and `/probe`.

Start at `page.py`; `checks.py` counts the checks, `program.py` measures the program itself.
"""
