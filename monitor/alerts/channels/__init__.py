"""The ways to people: webhooks, the services that apprise knows, and a test of each.

Start at `channels.py`. It knows nothing of who gets which alert, and when.
"""
