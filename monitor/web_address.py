"""Who may reach the web server: only this machine, or who has the token."""

import ipaddress
from collections.abc import Iterator

from monitor.config import Settings


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def web_mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return what is wrong when other machines could reach the server without a token."""
    if settings.web_port is not None and settings.web_token is None and not is_loopback(settings.web_host):
        yield (
            "web_host",
            "others can reach this without web_token; must be a loopback address, or set web_token",
        )
