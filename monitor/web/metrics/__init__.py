"""What Prometheus reads: `/metrics` and `/probe`.

Start at `page.py`; `checks.py` counts the checks, `histograms.py` says how long they took, and
`program.py` measures the program itself.
"""
