"""What the configuration allows where it names parts of the network, and what is said otherwise."""

import ipaddress

from monitor.config_rules import port_of, string

_DNS_PORT = 53


def check_dns_server(value: object) -> str:
    """Allow IP addresses with or without a port; return them with one."""
    address = string(value, "the address of a DNS server")
    try:
        port = port_of(address)
        place = address if port is None else address.rpartition(":")[0]
        ipaddress.ip_address(place.rstrip(":").strip("[]"))
    except ValueError:
        allowed = "must be IPV4, IPV4:PORT, [IPV6] or [IPV6]:PORT"
        raise ValueError(f"not the address of a DNS server; {allowed}") from None
    return f"{place.rstrip(':')}:{port or _DNS_PORT}"
