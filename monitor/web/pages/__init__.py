"""The pages that people read.

Start at `base.py` for what all pages share; each other file is one page, or a part that pages draw.
"""
