"""What all operations of the API have in common: how they are defined, described, asked and answered.

Start at `operation.py`. It knows nothing of what a single one does.
"""
