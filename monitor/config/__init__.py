"""What people wrote in `config.json`, and what is wrong with it.

Start at `model.py` for the keys, and at `load.py` for the way from a file to a configuration.
A mistake names the file, the place in it, what is wrong, and what is allowed.
It knows nothing of how a configuration is carried out.
"""
