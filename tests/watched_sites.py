"""Sites in every state, watched by the program, by blackbox_exporter, and by Prometheus through both."""

import gzip
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from socket import socket
from typing import Any

import pytest
import trustme
import yaml

from tests.program import ROOT, Program, need, programs, until
from tests.prometheus import EXPORTER, Prometheus, blackbox_exporter, documented, get, prometheus
from tests.sites import Authority, Serve, answer, closed_port, ok, read_request, sites

DAYS = timedelta(days=1)
JOBS = ("website-health", "metrics", "probe", "blackbox")
"""Of Prometheus: `/metrics` as it is, `/metrics` relabelled as documented, and the two that probe."""
WELCOME = ok(b"welcome", "Last-Modified: Tue, 24 Nov 2026 12:00:00 GMT")
SITES = (
    *("up", "named", "chunked", "compressed", "old", "head only", "slow", "moved", "moved, not followed"),
    *("secure", "with a chain", "other authority", "expiring"),
    *("expired", "wrong name", "not trusted", "down", "refused"),
    *("text missing", "text unwanted", "header missing", "down, text missing", "cut off", "moved too often"),
)
SECURE = {"secure", "with a chain", "other authority", "expiring"}
UNVERIFIED = {"other authority"}
NOT_200 = {"down", "down, text missing", "refused", "expired", "wrong name", "not trusted"}
NOT_UP = NOT_200 | {"text missing", "text unwanted", "header missing", "cut off", "moved too often"}
DOWN = b"HTTP/1.1 500 Oh No\r\nContent-Length: 4\r\n\r\noops"

Settings = dict[str, Any]
Modules = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Watched:
    """The sites' URLs by name, and who watches them."""

    urls: Mapping[str, str]
    program: Program
    web: str
    """The program's host and port."""
    exporter: str
    """blackbox_exporter's host and port."""
    prometheus: Prometheus

    def wait_until_scraped(self) -> None:
        """Wait until Prometheus has each site in each of its jobs."""
        self.prometheus.wait_for("probe_http_version", len(JOBS) * len(SITES))

    def wait_until_stored(self) -> None:
        """Wait until PostgreSQL has each site."""
        self.prometheus.wait_for(f"website_health_rows_stored_total > {2 * len(SITES)}")


def module_of(name: str) -> str:
    """Return the module of a site, in the program and in blackbox_exporter."""
    return name.replace(" ", "_")


def _slow(connection: socket, test_ended: threading.Event) -> None:
    read_request(connection)
    test_ended.wait(0.7)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow")
    test_ended.wait(0.4)
    connection.sendall(b"slow")


def _moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def _urls(serve: Serve, authority: Authority) -> dict[str, str]:
    now = datetime.now(UTC)

    def encrypted(*, by: trustme.CA = authority.ca, name: str = "127.0.0.1", **valid: Any) -> str:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        by.issue_cert(name, "shop.example", **valid).configure_cert(tls)
        return serve(answer(WELCOME), tls)

    up = serve(answer(WELCOME))
    squeezed = gzip.compress(b"welcome" * 100)
    return {
        "up": up,
        "named": up.replace("127.0.0.1", "localhost"),
        "chunked": serve(
            answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfull\r\n0\r\n\r\n")
        ),
        "compressed": serve(answer(ok(squeezed, "Content-Encoding: gzip"))),
        "old": serve(answer(b"HTTP/1.0 200 OK\r\n\r\nwelcome")),
        "head only": serve(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")),
        "slow": serve(_slow),
        "moved": serve(answer(_moved(f"{up}/"))),
        "moved, not followed": serve(answer(_moved(f"{up}/"))),
        "secure": encrypted(not_after=now + 200 * DAYS),
        "with a chain": encrypted(by=authority.ca.create_child_ca()),
        "other authority": encrypted(by=trustme.CA(), not_after=now + 100 * DAYS),
        "expiring": encrypted(not_after=now + 5 * DAYS),
        "expired": encrypted(not_before=now - 9 * DAYS, not_after=now - 2 * DAYS),
        "wrong name": encrypted(name="127.0.0.2"),
        "not trusted": encrypted(by=trustme.CA()),
        "down": serve(answer(DOWN)),
        "refused": f"http://127.0.0.1:{closed_port()}",
        "text missing": serve(answer(WELCOME)),
        "text unwanted": serve(answer(WELCOME)),
        "header missing": serve(answer(WELCOME)),
        "down, text missing": serve(answer(DOWN)),
        "cut off": serve(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\nwelcome")),
        "moved too often": serve(answer(_moved("/"))),
    }


def _settings(authority: Authority) -> Modules:
    """Write the program's side of it: how each site is checked, by its name."""
    own: dict[str, Settings] = {
        "slow": {"group": "shop", "labels": {"team": "web"}, "degraded_after_s": 1},
        "head only": {"method": "HEAD"},
        "moved, not followed": {"follow_redirects": False},
        "other authority": {"verify_tls": False},
        "text missing": {"expect": {"body_regex": ["farewell"]}},
        "down, text missing": {"expect": {"body_regex": ["farewell"]}},
        "cut off": {"expect": {"body_regex": ["welcome"]}},
        "text unwanted": {"expect": {"body_not_regex": ["welcome"]}},
        "header missing": {"expect": {"header_regex": {"Server": "shop"}}},
    }
    common = {"interval_s": 1, "timeout_s": 5, "ca_file": str(authority.file)}
    return {name: common | own.get(name, {}) for name in SITES}


def _modules(urls: Mapping[str, str], authority: Authority) -> Modules:
    """Write blackbox_exporter's side of it."""
    http = {
        "preferred_ip_protocol": "ip4",
        "valid_status_codes": list(range(200, 400)),
        "tls_config": {"ca_file": str(authority.file)},
    }
    own: dict[str, Settings] = {
        "compressed": {"compression": "gzip", "headers": {"Accept-Encoding": "gzip"}},
        "head only": {"method": "HEAD"},
        "moved, not followed": {"follow_redirects": False},
        "other authority": {"tls_config": {"insecure_skip_verify": True}},
        "text missing": {"fail_if_body_not_matches_regexp": ["farewell"]},
        "down, text missing": {"fail_if_body_not_matches_regexp": ["farewell"]},
        "cut off": {"fail_if_body_not_matches_regexp": ["welcome"]},
        "text unwanted": {"fail_if_body_matches_regexp": ["welcome"]},
        "header missing": {"fail_if_header_not_matches": [{"header": "Server", "regexp": "shop"}]},
        # It takes the redirect after the last that it follows for the answer.
        "moved too often": {"valid_status_codes": [200]},
    }
    return {
        module_of(name): {"prober": "http", "timeout": "5s", "http": http | own.get(name, {})}
        for name in urls
    }


def _scraping(urls: Mapping[str, str], web: str, exporter: str) -> Settings:
    """Write what blackbox_exporter's documentation describes, once for each of the two."""

    def probing(job: str, address: str, name: str, url: str) -> Settings:
        return {
            "job_name": f"{job} {name}",
            "metrics_path": "/probe",
            "params": {"module": [module_of(name)]},
            "static_configs": [{"targets": [f"{url}/"]}],
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {"target_label": "__address__", "replacement": address},
                {"target_label": "job", "replacement": job},
            ],
        }

    relabelling = yaml.safe_load(documented("relabelling"))
    addresses = {"probe": web, "blackbox": exporter}
    return {
        "rule_files": [str(ROOT / "grafana/alerts.yml")],
        "scrape_configs": [
            {"job_name": "website-health", "static_configs": [{"targets": [web]}]},
            {"job_name": "metrics", "static_configs": [{"targets": [web]}], **relabelling},
            {"job_name": "blackbox", "static_configs": [{"targets": [exporter]}]},
            *(probing(job, at, name, url) for job, at in addresses.items() for name, url in urls.items()),
        ],
    }


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Watched]:
    """Start all of them; each site is checked once a second."""
    need("prometheus", "promtool", EXPORTER)
    folder = tmp_path_factory.mktemp("prometheus")
    with sites() as serve, programs() as program:
        urls = _urls(serve, authority)
        settings = _settings(authority)
        running = program(
            monitors=[{"name": name, "url": f"{urls[name]}/", **each} for name, each in settings.items()],
            modules={module_of(name): each for name, each in settings.items()},
            probe_targets=["127.0.0.0/8", "localhost"],
            defaults={"notify": {"channels": []}},
            alerts={"channels": {"chat": "json://127.0.0.1:1/"}},
            web_port=0,
            max_checks_per_host=100,
            location="here",
        )
        running.start()
        web = re.sub("^http://|/$", "", running.prints(r"web: (http\S+)")[1])
        until(lambda: get(web, "/readyz", {})[0] == 200, "the program is ready")
        with (
            blackbox_exporter(folder, _modules(urls, authority)) as exporter,
            prometheus(folder, _scraping(urls, web, exporter)) as server,
        ):
            yield Watched(urls, running, web, exporter, server)
        assert running.stop() == 0
