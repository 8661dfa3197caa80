"""A process and its system: its event loop, signals, file handles, folder, and service manager.

Start at `event_loop.py`. It knows nothing of websites.
"""
