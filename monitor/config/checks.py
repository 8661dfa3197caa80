"""What is right by itself in a configuration and wrong together.

Keys of a monitor that exclude each other, names that refer to nothing, labels that would be one in metrics,
Kafka's security without what it needs, and a web server that anybody may reach without a token.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from itertools import islice, pairwise
from pathlib import Path

from monitor.config.addresses import ENVIRONMENT, check_proxy
from monitor.config.alerts import GroupSettings, Notify
from monitor.config.expect import Expect
from monitor.config.files import check_authorities, check_certificate, check_pair
from monitor.config.model import Monitor, SecurityProtocol, Settings, WrittenConfig
from monitor.config.public_url import user_info
from monitor.config.reading.document import JsonPlace, PlacedMistake
from monitor.config.rules import EMBEDDED
from monitor.runtime.hosts.proxies import proxies_of
from monitor.runtime.hosts.registered import registered_domain

_MAX_SHOWN = 20  # names, in a mistake
_NO_MONITOR = "no monitor has this name; must be the name of one"
_NO_GROUP = "no monitor is of this group; must be the group of one or more"


def monitor_mistakes(
    monitor: Monitor, given: Collection[str], environ: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Return each key of a monitor with its defaults that does not go with another key, and why.

    `given` are the keys that are not defaults.
    """
    yield from _number_mistakes(monitor)
    yield from tls_mistakes(monitor.expect)
    if monitor.proxy == ENVIRONMENT:
        yield from _environment_mistakes(environ)
    yield from _credential_mistakes(monitor)
    wants_domain = monitor.min_domain_days is not None
    if wants_domain and registered_domain(monitor.url) is None and "min_domain_days" in given:
        yield "min_domain_days", "the host of the URL has no registered domain; must be left out, or null"
    if monitor.addresses == "all":
        yield from (("addresses", text) for text in _not_of_all_addresses(monitor))
    if monitor.client_cert is None:
        if monitor.client_key is not None:
            yield "client_key", "given without client_cert; must be together"
        return
    try:
        check_pair(monitor.client_cert, monitor.client_key or monitor.client_cert)
    except ValueError as error:
        yield "client_cert", str(error)


def _not_of_all_addresses(monitor: Monitor) -> Iterator[str]:
    if monitor.proxy is not None:
        yield 'is "all" beside a proxy, which chooses the address; must be "any", or proxy null'
    if monitor.reuse_connection:
        yield 'is "all" beside reuse_connection; must be "any", or reuse_connection false'
    if monitor.steps:
        yield 'is "all" beside steps; must be "any", or url in the place of steps'


def _number_mistakes(monitor: Monitor) -> Iterator[tuple[str, str]]:
    if monitor.window and monitor.window.bad > monitor.window.of:
        yield "window", "bad is more than of; must be at most as many"
    if monitor.retry_interval_s is not None and monitor.retry_interval_s > monitor.interval_s:
        yield "retry_interval_s", "more than interval_s; must be at most as much, or null"


def _credential_mistakes(monitor: Monitor) -> Iterator[tuple[str, str]]:
    given = [key for key in ("basic_auth", "bearer_token", "oauth2") if getattr(monitor, key) is not None]
    for first, key in pairwise(given):
        yield key, f"given beside {first}; must be one of the two, the other null"
    if monitor.oauth2 is not None:
        if user_info(monitor.url):
            yield "oauth2", "given beside a user in the URL; must be one of the two"
        if any(name.lower() == "authorization" for name in monitor.headers):
            yield "oauth2", "given beside a header Authorization; must be one of the two"


def _environment_mistakes(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for scheme, url in proxies_of(environ).items():
        try:
            check_proxy(url)
        except ValueError as error:
            yield "proxy", f"what {scheme.upper()}_PROXY names cannot be used: {error}"


def tls_mistakes(expect: Expect) -> Iterator[tuple[str, str]]:
    """Return what is expected of TLS and cannot hold together; the key is always `expect`."""
    for key in ("min_tls_version", "certificate_issuer", "certificate_sha256"):
        if expect.tls == "forbidden" and getattr(expect, key):
            yield "expect", f'tls is "forbidden" beside {key}; must be one of the two'


def reference_mistakes(written: WrittenConfig, monitors: Sequence[Monitor]) -> Iterator[PlacedMistake]:
    """Return the names of channels, monitors and groups that do not exist, and circles of dependencies.

    `monitors` have their defaults, and are in the order of the file.
    """
    names = {monitor.name for monitor in monitors}
    for settings, place in _settings(written):
        yield from _unknown_channels(settings.notify, written.alerts.channels, (*place, "notify"))
        for at in _unknown(settings.depends_on, names, (*place, "depends_on")):
            yield at, _NO_MONITOR
    for at in _unknown(written.status_page.monitors, names, ("status_page", "monitors")):
        yield at, _NO_MONITOR
    groups = {monitor.group for monitor in monitors if monitor.group}
    for at in _unknown(written.status_page.groups, groups, ("status_page", "groups")):
        yield at, _NO_GROUP
    yield from ((("groups", group), _NO_GROUP) for group in written.groups if group not in groups)
    yield from _circle(written, monitors)


def _unknown_channels(notify: Notify, channels: Collection[str], place: JsonPlace) -> Iterator[PlacedMistake]:
    known = _known(channels, "alerts.channels")
    for key, wanted in (("channels", notify.channels or ()), ("escalate_to", notify.escalate_to)):
        for at in _unknown(wanted, channels, (*place, key)):
            yield at, f"no such channel; {known}"


def _settings(written: WrittenConfig) -> Iterator[tuple[GroupSettings, JsonPlace]]:
    yield written.defaults, ("defaults",)
    for group, settings in written.groups.items():
        yield settings, ("groups", group)
    for name, module in written.modules.items():
        yield module, ("modules", name)
    for at, monitor in enumerate(written.monitors):
        yield monitor, ("monitors", at)


def _unknown(names: Sequence[str], known: Iterable[str], place: JsonPlace) -> Iterator[JsonPlace]:
    for at, name in enumerate(names):
        if name not in known:
            yield place if len(names) == 1 else (*place, at)


def _known(names: Collection[str], where: str) -> str:
    shown = ", ".join(islice(names, _MAX_SHOWN)) + (", …" if len(names) > _MAX_SHOWN else "")
    return f"must be one of {where}: {shown}" if shown else f"must be one of {where}, which has none"


def _circle(written: WrittenConfig, monitors: Sequence[Monitor]) -> Iterator[PlacedMistake]:
    """Return a monitor that depends on itself, if only by way of others."""
    try:
        TopologicalSorter({monitor.name: monitor.depends_on for monitor in monitors}).prepare()
    except CycleError as error:
        depending = next(monitor for monitor in monitors if monitor.name in error.args[1])
        yield _place(written, depending, monitors), "a monitor depends on itself in the end; must not"


def _place(written: WrittenConfig, depending: Monitor, monitors: Sequence[Monitor]) -> JsonPlace:
    """Return the place of the `depends_on` that the monitor has in the end."""
    at = monitors.index(depending) - len(written.url_to_monitor)
    if at >= 0 and "depends_on" in written.monitors[at].model_fields_set:
        return ("monitors", at, "depends_on")
    group = written.groups.get(depending.group or "")
    if depending.group and group and "depends_on" in group.model_fields_set:
        return ("groups", depending.group, "depends_on")
    return ("defaults", "depends_on")


# Our own labels, of the samples and of every monitor; `le` and `quantile` are Prometheus' own.
_TAKEN = frozenset(
    (
        "monitor",
        "group",
        "location",
        "phase",
        "reason",
        "result",
        "step",
        "version",
        "cipher",
        "fingerprint_sha256",
        "subject",
        "issuer",
        "subjectalternative",
        "serialnumber",
        "le",
        "quantile",
    )
)


def metric_label(name: str) -> str:
    """Return a label's name as Prometheus allows it: letters, digits and _, no digit first."""
    word = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return f"_{word}" if word[:1].isdigit() else word


def label_mistakes(written: WrittenConfig) -> Iterator[PlacedMistake]:
    """Return the labels that metrics cannot have, or cannot tell from others."""
    monitors = [(monitor, ("monitors", at)) for at, monitor in enumerate(written.monitors)]
    used: dict[str, str] = {}
    for settings, place in ((written.defaults, ("defaults",)), *monitors):
        for name in settings.labels:
            word = metric_label(name)
            first = used.setdefault(word, name)
            at = (*place, "labels", name)
            if word in _TAKEN:
                yield at, f"{word} means something else in metrics; must be another name"
            elif not word or word.startswith("__"):
                yield at, "not the name of a label in metrics; must be a word that does not begin with __"
            elif first != name:
                yield at, f"becomes {word} in metrics, as another label does; must be another name"


AUTHORITIES, CERTIFICATE, KEY = FILES = ("ca.pem", "service.cert", "service.key")


def effective_protocol(config: WrittenConfig) -> SecurityProtocol:
    """Return the protocol: as written, else by the files in `kafka_ssl_dir`."""
    if config.kafka_bootstrap == EMBEDDED:
        return "PLAINTEXT"
    if config.kafka_security_protocol is not None:
        return config.kafka_security_protocol
    return "SSL" if present(config.kafka_ssl_dir) else "PLAINTEXT"


def effective_failures_days(config: WrittenConfig) -> float:
    """Return for how many days failed results are kept: as written, else as all results."""
    return config.retention_days if config.retention_failures_days is None else config.retention_failures_days


def retention_mistakes(config: WrittenConfig) -> Iterator[tuple[str, str]]:
    """Return what is kept for longer than what it is a part of."""
    failures_days = effective_failures_days(config)
    if failures_days < config.retention_days:
        yield "retention_failures_days", "less than retention_days; must be at least as much, or null"
    longest = max(failures_days, config.retention_days)
    if config.retention_body_days is not None and config.retention_body_days > longest:
        yield "retention_body_days", "more than results are kept; must be at most as much, or null"


def security_mistakes(config: WrittenConfig) -> Iterator[tuple[str, str]]:
    """Return each key whose value does not fit the protocol, with what is wrong and what is allowed."""
    try:
        protocol = effective_protocol(config)
        found = present(config.kafka_ssl_dir) if protocol.endswith("SSL") else None
    except OSError as error:
        yield "kafka_ssl_dir", f"cannot look into {config.kafka_ssl_dir} ({error.strerror}); must be a folder"
        return
    if config.kafka_security_protocol not in {None, protocol}:
        yield "kafka_security_protocol", "not with the embedded broker; must be PLAINTEXT or left out"
        return
    yield from _sasl_mistakes(config, needed=protocol.startswith("SASL"))
    if found is not None:
        for text in dict.fromkeys(_file_mistakes(config, found)):
            yield "kafka_ssl_dir", text


def present(folder: Path) -> set[str]:
    """Return the names of those of the three files that exist.

    Raises:
        OSError: the folder cannot be read. From Python 3.14 on, `Path.exists` would return false then.

    """
    return {name for name in FILES if _is_there(folder / name)}


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _sasl_mistakes(config: WrittenConfig, *, needed: bool) -> Iterator[tuple[str, str]]:
    for key in ("kafka_sasl_mechanism", "kafka_username", "kafka_password"):
        given = getattr(config, key) is not None
        if needed and not given:
            yield key, "missing; SASL needs kafka_sasl_mechanism, kafka_username and kafka_password"
        if given and not needed:
            yield key, "not used; only allowed with kafka_security_protocol SASL_PLAINTEXT or SASL_SSL"


def _file_mistakes(config: WrittenConfig, found: set[str]) -> Iterator[str]:
    needed = set(FILES)
    if config.kafka_security_protocol is not None:
        needed = {CERTIFICATE, KEY} if found - {AUTHORITIES} else set()
    missing = [name for name in FILES if name in needed - found]
    if missing:
        yield f"{' and '.join(missing)} missing there; must have all of {', '.join(FILES)}, or none"
    authorities, certificate, key = (config.kafka_ssl_dir / name for name in FILES)
    checks = (
        ({AUTHORITIES}, partial(check_authorities, authorities)),
        ({CERTIFICATE}, partial(check_certificate, certificate)),
        ({CERTIFICATE, KEY}, partial(check_pair, certificate, key)),
    )
    for files, check in checks:
        if files <= found:
            try:
                check()
            except ValueError as error:
                yield str(error)


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
