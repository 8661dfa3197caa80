"""Access tokens (OAuth 2.0) that checks send to their sites.

Start at `authorized.py`. A token is asked for by a request like those of checks, within the same limits. It
knows nothing of what a site answers, but 401.
"""
