"""Names of a certificate's subject and issuer as Go writes them, made from how RFC 4514 does. Pure.

Source: Go's crypto/x509/pkix, `Name.String`: it sorts the attributes that it knows, joins those of one type,
and writes the values of all others in DER.
"""

import re
from collections import defaultdict
from functools import lru_cache

_KNOWN = ("SERIALNUMBER", "CN", "OU", "O", "POSTALCODE", "STREET", "L", "ST", "C")
_SINGLE = {"SERIALNUMBER", "CN"}  # of which it keeps the last
_NAMES = {"2.5.4.5": "SERIALNUMBER", "2.5.4.17": "POSTALCODE"}
_NUMBERS = {"DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1"}
_ATTRIBUTE = re.compile(r"(?P<type>[^=]+)=(?P<value>(?:\\.|[^\\,+])*)(?P<end>[,+]|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")
_UTF8_STRING, _PRINTABLE_STRING = 0x0C, 0x13
_SHORT = 0x80
_KEPT = 16_384


@lru_cache(_KEPT)
def as_go_writes(name: str) -> str:
    """Return the name as Go writes it; a text that is no name stays as it is."""
    parts: list[list[tuple[str, str]]] = [[]]
    at = 0
    while at < len(name):
        found = _ATTRIBUTE.match(name, at)
        if found is None:
            return name
        parts[-1].append((found["type"], found["value"]))
        if found["end"] == ",":
            parts.append([])
        at = found.end()
    known, others = defaultdict(list), []
    for written, value in (attribute for part in reversed(parts) for attribute in part):
        kind = _NAMES.get(written, written)
        if kind in _KNOWN:
            known[kind].append(f"{kind}={value}")
        else:
            others.append(f"{_NUMBERS.get(kind, kind)}=#{_der(value).hex()}")
    joined = ["+".join(known[kind][-1:] if kind in _SINGLE else known[kind]) for kind in _KNOWN]
    return ",".join([*filter(None, joined), *reversed(others)])


def _der(escaped: str) -> bytes:
    value = _ESCAPED.sub(r"\1", escaped)
    tag = _PRINTABLE_STRING if _PRINTABLE.fullmatch(value) else _UTF8_STRING
    content = value.encode()
    length = len(content)
    if length < _SHORT:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, _SHORT | len(size))) + size + content
