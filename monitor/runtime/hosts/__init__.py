"""What names of hosts mean outside of DNS: which of them a proxy leads to, and what of a name is registered.

Pure. It knows nothing of websites.
"""
