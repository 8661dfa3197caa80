"""When the registrations of the domains of monitors expire: registries are asked once a day (RDAP).

Start at `watch.py`. What it does not know never counts against a site: no registry, no date, no answer. It
knows nothing of checks: how a request is made is given to it.
"""
