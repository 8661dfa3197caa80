"""The configuration: every key with its type and its default.

Times are seconds. The descriptions are those of the JSON Schema.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from monitor.config import values
from monitor.config.addresses import ENVIRONMENT, is_target
from monitor.config.alerts import Alerts, GroupSettings
from monitor.config.expect import Expect
from monitor.config.public_url import public_url
from monitor.config.rules import EMBEDDED
from monitor.config.steps.step import Step
from monitor.config.values import Count, Days, Duration, Many, OneOrMany, Size, Strict
from monitor.runtime.hosts.proxies import proxies_of

SLEEP_DURATION_S = 60.0

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
MetricsHistograms = Literal["auto", "monitor", "none"]


class BasicAuth(Strict):
    """User and password for HTTP's basic authentication."""

    username: values.Username
    password: values.Secret


class OAuth2(Strict):
    """How to get an access token by the client credentials of OAuth 2.0 (RFC 6749, 4.4)."""

    token_url: values.WebAddress
    """http:// or https:// URL of the token server's endpoint."""
    client_id: values.Name
    client_secret: values.Key
    scopes: Annotated[tuple[values.Scope, ...], Many, OneOrMany()] = ()
    """What the token is to be good for."""
    auth_method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    """Whether id and secret are sent in the header Authorization or in the body."""
    endpoint_params: dict[str, values.Secret] = {}
    """Further parameters for the token server, such as audience."""


class Window(Strict):
    """How many of the last checks must have failed to open an incident."""

    of: Annotated[int, Field(ge=1, le=100)]
    """How many of the last checks count."""
    bad: Annotated[int, Field(ge=1, le=100)]
    """How many of them must have failed."""


class MonitorSettings(GroupSettings):
    """The keys that a monitor may have, and that `defaults` may have for all of them."""

    interval_s: Duration = SLEEP_DURATION_S
    """Seconds from the start of one check to the start of the next; by default `sleep_duration`."""
    retry_interval_s: Duration | None = None
    """The same after a failed check of a monitor that is not down, and after a passed one of one that is."""
    timeout_s: Duration = 10.0
    """The longest that a check may take."""
    method: values.Method = "GET"
    headers: dict[values.HeaderName, values.HeaderValue] = {}
    """Request headers."""
    body: values.Secret | None = None
    """The request's body."""
    basic_auth: BasicAuth | None = None
    bearer_token: values.Token | None = None
    oauth2: OAuth2 | None = None
    """Gets the bearer token from a token server."""
    follow_redirects: bool = True
    max_redirects: Size = 10
    verify_tls: bool = True
    """Whether the server's certificate must be trusted and name the host."""
    ca_file: values.AuthoritiesFile | None = None
    """PEM file of the authorities to trust instead of the system's."""
    client_cert: values.ExistingFile | None = None
    """PEM file of the client's certificate."""
    client_key: values.ExistingFile | None = None
    """PEM file of its key; by default `client_cert` has both."""
    server_name: values.Host | None = None
    """The name to ask for and to expect in TLS, instead of the URL's host."""
    ip_family: Literal["any", 4, 6] = "any"
    resolver: Annotated[tuple[values.DnsServer, ...], Many, OneOrMany()] = ()
    """DNS servers (IP[:PORT]) to ask instead of the system; the next where one does not answer."""
    addresses: Literal["any", "all"] = "any"
    """Whether one address of the host must work, or each of them; each is then checked by its own request."""
    deny_addresses: Annotated[tuple[values.DeniedAddresses, ...], Many, OneOrMany()] = ()
    """Addresses never to connect to, also not by a redirect: "private" (all that is not public), networks."""
    proxy: values.Proxy | None = None
    """http:// URL of a proxy; "environment": HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""
    no_proxy: Annotated[tuple[values.WithoutProxy, ...], Many, OneOrMany()] = ()
    """Hosts that are reached without the proxy, with those below them; also HOST:PORT, networks, "*"."""
    reuse_connection: bool = False
    """Whether to keep the connection from check to check."""
    max_body_bytes: Size = 1_048_576
    """Reading stops after so many bytes, counted after decompression."""
    store_body: Literal["always", "on_failure", "never"] = "always"
    store_body_bytes: Size = 65_536
    """The stored body is cut after so many bytes."""
    expect: Expect = Expect()
    degraded_after_s: Duration | None = None
    """A response time above this is up, but degraded."""
    min_domain_days: Annotated[float, Field(ge=0, le=36_500)] | None = None
    """The days for which the domain of the URL must still be registered, as far as its registry says it."""
    rdap_server: values.RdapServer | None = None
    """URL of the RDAP server to ask about the domain, instead of that of its registry."""
    failures_to_open: Count = 3
    """Failed checks in a row that open an incident."""
    successes_to_resolve: Count = 2
    """Passed checks in a row that resolve it."""
    window: Window | None = None
    """Opens an incident instead of `failures_to_open`."""
    quorum: Count | None = None
    """Locations that must agree before the monitor is down; half by default, rounded up."""
    group: values.Name | None = None
    """A label of its metrics."""
    labels: dict[str, str] = {}
    """More labels of its metrics and alerts; in metrics, names have _ for all but letters, digits and _."""
    runbook: values.Link | None = None
    """URL of what to do when it is down; shown in its alerts and on its page, as it is written."""
    paused: bool = False
    """Whether not to check for now."""


class Monitor(MonitorSettings):
    """A monitor with its defaults."""

    name: values.Name
    url: Annotated[values.Url, Field(repr=False)]
    """As configured, with its secret parts: for the request only. With steps, that of the first one."""
    steps: Annotated[tuple[Step, ...], Many] = ()

    @property
    def public_url(self) -> str:
        """The URL without user, password, secret query values and values from the environment."""
        return public_url(self.url)

    @classmethod
    def with_settings(cls, settings: MonitorSettings, **own: Any) -> Self:
        """Return one with these settings, and with some of its own; all of them are validated."""
        chosen = {key: getattr(settings, key) for key in MonitorSettings.model_fields}
        return cls.model_construct(set(cls.model_fields), **chosen | own)

    def may_lead_to(self, host: str) -> bool:
        """Return whether a redirect to this host is followed; its addresses may be denied even so."""
        del host
        return True

    def proxies(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the URLs of its proxies, with their passwords, by the scheme of what is asked for."""
        if self.proxy is None:
            return {}
        if self.proxy == ENVIRONMENT:
            return proxies_of(environ)
        return dict.fromkeys(("http", "https"), self.proxy.get_secret_value())

    @property
    def has_https(self) -> bool:
        """Whether some request is made with TLS, also without a redirect."""
        urls = (self.url, *(step.url for step in self.steps))
        return any(url.lower().startswith("https:") for url in urls)

    @property
    def asks_json(self) -> bool:
        """Whether something is expected of JSON."""
        return bool(self.expect.json) or any(step.expect and step.expect.json for step in self.steps)


class Target(Monitor):
    """What `/probe` is asked for and is no monitor."""

    targets: tuple[values.Target, ...]
    """`probe_targets`, from which no redirect leads away."""

    def may_lead_to(self, host: str) -> bool:
        """Return whether a client could ask for this host as well."""
        return is_target(host, self.targets)


class StatusPage(Strict):
    """What everybody may see at /status."""

    title: values.Name = "Status"
    announcement: str = ""
    """Shown above all; empty: none."""
    groups: Annotated[tuple[values.Name, ...], Many, OneOrMany()] = ()
    """Groups of which all monitors are shown."""
    monitors: Annotated[tuple[values.Name, ...], Many, OneOrMany()] = ()
    """Names of further monitors to show; with neither groups nor monitors, all are shown."""


class Settings(Strict):
    """The top-level keys that mean the same in the file and in the program."""

    include: Annotated[tuple[values.FilePattern, ...], Many, OneOrMany()] = ()
    """Files that are parts of this one, also by `*`: "monitors.d/*.json"; relative to this file's folder."""
    pg_uri: Annotated[values.DatabaseUri, Field(json_schema_extra={"default": EMBEDDED})] = SecretStr(
        EMBEDDED
    )
    """postgresql://USER:PASSWORD@HOST:PORT/NAME?sslmode=…, or "embedded"."""
    kafka_bootstrap: values.Bootstrap = EMBEDDED
    """host:port[,host:port], or "embedded"."""
    kafka_topic: values.Topic = "website_health"
    """Created if missing."""
    kafka_partitions: Annotated[int, Field(ge=1, le=100_000)] = 6
    """Partitions of a topic that has to be created."""
    kafka_ssl_dir: values.FilePath = Field(default=Path("ssl_kafka"), validate_default=True)
    """Folder of ca.pem, service.cert and service.key; all three there: TLS with a client certificate."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_username: str | None = None
    kafka_password: values.Key | None = None
    kafka_group: values.Name = "website-health-store"
    """Consumer group of the processes that store results."""
    kafka_compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "lz4"
    location: values.Name = Field(default_factory=socket.gethostname)
    """Where this process checks from; by default the host name."""
    share_checks: bool = True
    """Whether processes of one location and `kafka_group` share the checks; not with the embedded broker."""
    data_dir: values.FilePath = Field(default=Path("data"), validate_default=True)
    """Folder of the outbox and the embedded servers."""
    outbox_max_mb: Annotated[float, Field(gt=0, le=1e9)] = 1024.0
    """When the outbox is larger, its oldest results are dropped."""
    max_concurrent_checks: Count = 500
    max_checks_per_host: Count = 6
    connectivity_check: Annotated[values.ConnectivityTarget | None, Field(repr=False)] = None
    """HOST:PORT or a URL: a check that fails while this cannot be reached does not count against its site."""
    retention_days: Days = 90.0
    """Days for which each single result is kept."""
    retention_body_days: Days | None = None
    """Days for which the body of each result is kept; null: as long as the result."""
    shutdown_grace_s: Duration = 10.0
    web_host: values.Host = "127.0.0.1"
    """Where the web server listens; an address that other machines can reach needs `web_token`."""
    web_port: Annotated[int, Field(ge=0, le=65_535)] | None = 8080
    """0: any free port; null: no page."""
    web_token: values.Token | None = None
    """Needed for all but /healthz, /status and /badges: as `Authorization: Bearer TOKEN`, or to log in."""
    trusted_proxies: Annotated[tuple[values.Network, ...], Many, OneOrMany()] = ()
    """Networks of proxies in front of the web server, whose X-Forwarded-For names the client."""
    metrics_histograms: MetricsHistograms = "auto"
    """Whether each monitor has histograms of its checks; auto: up to 500 monitors."""
    modules: dict[values.Name, MonitorSettings] = {}
    """By the name that `/probe?module=` asks for: any key of a monitor but name, url and steps."""
    probe_targets: Annotated[tuple[values.Target, ...], Many, OneOrMany()] = ()
    """Hosts that `/probe` checks by `modules` without being monitors: HOST, *.DOMAIN, networks, "*"."""
    status_page: StatusPage = StatusPage()
    """What /status shows, also to those without the token."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    """json: one object a line, with time, level, logger, message and, where there is one, exception."""
    log_results: Literal["auto", True, False] = "auto"
    """Whether each result is logged at info; auto: with at most 20 monitors."""
    alerts: Alerts = Alerts()
    groups: dict[values.Name, GroupSettings] = {}
    """By the name of a group: settings of all its monitors; they win over `defaults`."""
    heartbeat_url: values.WebAddress | None = None
    """Requested once a minute, only while checks, Kafka and PostgreSQL all work."""
    own_trouble_after_s: Duration = 120.0
    """Seconds without PostgreSQL or Kafka, or with a stalled stage, after which each channel is alerted."""


class Config(Settings):
    """The configuration in effect: defaults merged into the monitors, paths absolute."""

    monitors: tuple[Monitor, ...]
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    retention_failures_days: float = 90.0
    web_port_is_given: bool = False
    """Whether the file names the port: no other port is used then."""

    @property
    def shares_checks(self) -> bool:
        """Whether other processes of the location may make some of the checks."""
        return self.share_checks and self.kafka_bootstrap != EMBEDDED


class WrittenMonitor(MonitorSettings):
    """A monitor as the file has it."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["url"]}, {"required": ["steps"]}]})

    name: values.Name | None = None
    """By default the URL; no two monitors share one."""
    steps: Annotated[tuple[Step, ...], Many, values.AFewSteps] = ()
    """Requests in their order, instead of `url`; they share cookies and what they save."""
    url: Annotated[values.Url | None, Field(repr=False, validate_default=True)] = None

    @field_validator("url")
    @classmethod
    def _is_instead_of_steps(cls, url: str | None, others: ValidationInfo) -> str | None:
        """Refuse both, and neither; `steps` with mistakes are not among the others."""
        has_steps = bool(others.data.get("steps", True))
        if url is not None and has_steps and "steps" in others.data:
            raise ValueError("given beside steps; must be one of the two")
        if url is None and not has_steps:
            raise PydanticCustomError("missing_url", "missing")
        return url

    @property
    def first_url(self) -> str:
        """The URL of the first request."""
        return self.url or self.steps[0].url


class WrittenConfig(Settings):
    """The configuration as the file has it."""

    schema_: Annotated[str | None, Field(alias="$schema", repr=False)] = None
    """The JSON Schema of this file, for editors."""
    url_to_monitor: Annotated[tuple[values.Url, ...], Many, OneOrMany(), Field(repr=False)] = ()
    """URLs to monitor; short for `monitors`."""
    sleep_duration: Duration = SLEEP_DURATION_S
    """Seconds from the start of one check to the start of the next, where a monitor has no `interval_s`."""
    monitors: Annotated[tuple[WrittenMonitor, ...], Many] = ()
    defaults: MonitorSettings = MonitorSettings()
    """Any key of a monitor but name, url and steps, for all monitors."""
    kafka_security_protocol: SecurityProtocol | None = None
    """By default SSL when `kafka_ssl_dir` has its three files, else PLAINTEXT."""
    retention_failures_days: Days | None = None
    """Days for which failed results are kept, with their evidence; by default `retention_days`."""
