"""What the configuration allows where it names parts of the network, and what is said otherwise."""

import ipaddress

from monitor.config_rules import check_url, port_of, string

PRIVATE = "private"
"""In place of a network: every address that is not public."""
IPV4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

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


def check_denied(value: object) -> str:
    """Allow networks, single addresses and the word for all that is not public."""
    written = string(value, f'"{PRIVATE}" or a network')
    if written == PRIVATE:
        return written
    try:
        return str(network(written))
    except ValueError:
        allowed = f'must be "{PRIVATE}", an address, or a network such as 10.0.0.0/8'
        raise ValueError(f"not a network; {allowed}") from None


def check_connectivity_target(value: object) -> str:
    """Allow what can be connected to: a host with a port, or a URL."""
    written = string(value, "HOST:PORT or a URL")
    if "://" in written:
        return check_url(written)
    try:
        complete = port_of(written) is not None
    except ValueError:
        complete = False
    if not complete:
        raise ValueError("not a host and a port; must be HOST:PORT, [IPV6]:PORT or a URL")
    return written


def network(written: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Read a network, or one address as a network. IPv4 that is written as IPv6 (`::ffff:…`) becomes IPv4.

    Raises:
        ValueError: it is neither.

    """
    read = ipaddress.ip_network(written)
    if isinstance(read, ipaddress.IPv6Network) and read.subnet_of(IPV4_MAPPED):
        ipv4 = ipaddress.IPv4Address(int(read.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((ipv4, read.prefixlen - IPV4_MAPPED.prefixlen))
    return read
