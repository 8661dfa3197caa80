"""From the files that people wrote to a configuration, or to one line for each mistake in them.

Start at `load.py`. What is allowed is said in `config/model.py`, not here.
"""
