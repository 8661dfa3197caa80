"""Which part of a host's name somebody has registered, by the list of public suffixes. Pure."""

import ipaddress
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList
from yarl import URL

_HOSTS = 65_536  # that are remembered


def registered_domain(url: str) -> str | None:
    """Return the domain of the URL's host that is registered at a registry, in ASCII; `None` where none is.

    The first call reads the list, which takes a tenth of a second.
    """
    try:
        return _registered(URL(url).raw_host or "")
    except ValueError:
        return None


@lru_cache(_HOSTS)
def _registered(host: str) -> str | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _suffixes().privatesuffix(host.rstrip("."))
    return None


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)  # below the others, no registry knows a name
