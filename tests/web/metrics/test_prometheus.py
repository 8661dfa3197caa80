"""What others built on blackbox_exporter works on this program, seen with their own programs."""

import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

import pytest

from tests.program import until
from tests.prometheus import Samples, get, promtool, samples
from tests.watched_sites import JOBS, NOT_200, NOT_UP, SECURE, SITES, UNVERIFIED, Watched, module_of

pytestmark = pytest.mark.clients

DAY_S = 24 * 3600
TIMES = {"probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_http_duration_seconds"}
WITHIN_S = 0.005  # for each request
TRIES = 120
OF_30_DAYS = "avg_over_time(probe_success[30d]) * 100 < 99.9"
CHANGES = "changes(probe_success[10m]) > 4"
OWN = {"__name__", "job", "monitor", "group", "location", "team", "process"}


def probed(
    address: str,
    watched: Watched,
    name: str,
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/",
    by_module: bool = True,
) -> Samples:
    """Probe a site as Prometheus does."""
    query = {"target": f"{watched.urls[name]}{path}"} | ({"module": module_of(name)} if by_module else {})
    status, text = get(address, "/probe", query, headers)
    assert status == 200, text
    return samples(text)


def of_times(read: Samples) -> dict[tuple[str, str], float]:
    return {
        (metric, labels.get("phase", "")): value
        for metric in TIMES & read.keys()
        for labels, value in read[metric]
    }


def found(watched: Watched, job: str, expression: str) -> dict[frozenset[tuple[str, str]], float]:
    """Evaluate it for one job; its series by the labels that blackbox_exporter has, by site not instance."""
    of_job = re.sub(r"\b(probe|blackbox_exporter)_\w+", rf'\g<0>{{job="{job}"}}', expression)
    names = {f"{url}/": name for name, url in watched.urls.items()}
    return {
        frozenset(
            (label, names.get(value, value)) for label, value in labels.items() if label not in OWN
        ): value
        for labels, value in watched.prometheus.query(of_job)
    }


def sites(series: Iterable[frozenset[tuple[str, str]]]) -> set[str]:
    return {dict(labels)["instance"] for labels in series}


def once_too_slow(watched: Watched, job: str) -> set[str]:
    """Return the sites that are up, of which a busy machine has made a check too slow."""
    return sites(found(watched, job, "min_over_time(probe_success[30d]) == 0")) - NOT_UP


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize(
    ("path", "by_module"), [("/", False), ("/", True), ("/other", True)], ids=["monitor", "module", "target"]
)
def test_blackbox_exporter_sees_the_same_values(
    watched: Watched, name: str, path: str, by_module: bool
) -> None:
    ours = probed(watched.web, watched, name, path=path, by_module=by_module)
    theirs = probed(watched.exporter, watched, name, path=path)

    assert theirs.keys() - ours.keys() == set()
    for metric in theirs.keys() - TIMES:
        ((our_labels, our_value),) = ours[metric]
        ((their_labels, their_value),) = theirs[metric]
        assert our_value == their_value, metric
        assert {label: our_labels.get(label) for label in their_labels} == their_labels, metric


@pytest.mark.parametrize("name", SITES)
def test_blackbox_exporter_measures_the_same_times(watched: Watched, name: str) -> None:
    fastest: list[dict[tuple[str, str], float]] = [{}, {}]
    for _ in range(TRIES):
        for best, address in zip(fastest, (watched.web, watched.exporter), strict=True):
            read = probed(address, watched, name)
            for metric, seconds in of_times(read).items():
                best[metric] = min(seconds, best.get(metric, math.inf))
        ours, theirs = fastest
        assert ours.keys() == theirs.keys()
        apart = {metric: (ours[metric], theirs[metric]) for metric in theirs}
        ((_, redirects),) = read["probe_http_redirects"]
        if all(abs(our - their) < WITHIN_S * (1 + redirects) for our, their in apart.values()):
            return
    pytest.fail(f"still apart after {TRIES} tries: {apart}")


def test_the_scrape_timeout_ends_a_probe_as_blackbox_exporter_ends_it(watched: Watched) -> None:
    def ends_in_time(address: str) -> bool:
        seen = probed(address, watched, "slow", {"X-Prometheus-Scrape-Timeout-Seconds": "1.0"})
        ((_, seconds),) = seen["probe_duration_seconds"]
        return seen["probe_success"] == [({}, 0)] and 0.45 <= seconds < 1.1

    until(lambda: ends_in_time(watched.exporter), "the exporter's probe ends in time")
    until(lambda: ends_in_time(watched.web), "a probe that joined no check of the schedule ends in time")


@pytest.mark.parametrize(
    ("expression", "wanted", "only_ours"),
    [
        ("probe_success == 0", NOT_UP, set()),
        (OF_30_DAYS, NOT_UP, set()),
        ("count by (instance) (probe_success == 0)", NOT_UP, set()),
        (CHANGES, set(), set()),
        ("probe_http_status_code <= 199 or probe_http_status_code >= 400", NOT_200, set()),
        ("probe_http_redirects > 3", {"moved too often"}, set()),
        ("probe_ip_protocol == 6", set(), set()),
        # blackbox_exporter knows nothing of a certificate that it did not accept.
        ("probe_ssl_earliest_cert_expiry - time() < 21*24*3600", {"expiring"}, {"expired"}),
        ("round((probe_ssl_earliest_cert_expiry - time()) / 86400, 0.1) < 20", {"expiring"}, {"expired"}),
        (
            "(probe_ssl_last_chain_expiry_timestamp_seconds - time()) / 86400 < 7",
            {"expiring", *UNVERIFIED},
            set(),
        ),
        ("max by (instance, version) (probe_tls_version_info)", SECURE, set()),
        ("avg_over_time(probe_duration_seconds[1m]) > 1", {"slow"}, set()),
        ("max_over_time(probe_duration_seconds[5m])", set(SITES), set()),
        ("avg_over_time(probe_dns_lookup_time_seconds[5m])", set(SITES), set()),
        ("sum by (instance) (probe_http_duration_seconds)", set(SITES), set()),
    ],
)
def test_an_expression_made_for_blackbox_exporter_finds_the_same(
    watched: Watched, expression: str, wanted: set[str], only_ours: set[str]
) -> None:
    watched.wait_until_scraped()

    def finds() -> list[set[str]]:
        return [
            sites(found(watched, job, expression))
            - (once_too_slow(watched, job) if expression in (OF_30_DAYS, CHANGES) else set())
            for job in ("metrics", "probe", "blackbox")
        ]

    with suppress(TimeoutError):  # the first checks, while all starts, may be slow
        until(lambda: finds() == [wanted | only_ours, wanted | only_ours, wanted], expression)
    assert finds() == [wanted | only_ours, wanted | only_ours, wanted]
    if not any(name in expression for name in (*TIMES, "avg_over_time")):
        ours, probed, theirs = (found(watched, job, expression) for job in ("metrics", "probe", "blackbox"))
        for series, value in theirs.items():
            assert [ours[series], probed[series]] == pytest.approx([value] * 2, abs=10), series


@pytest.mark.parametrize(
    "expression",
    [
        "avg by (phase) (probe_http_duration_seconds)",
        "count(probe_http_ssl == 1) / count(probe_http_version)",
    ],
)
def test_an_expression_about_all_sites_finds_the_same(watched: Watched, expression: str) -> None:
    watched.wait_until_scraped()

    ours, probed, theirs = (found(watched, job, expression) for job in ("metrics", "probe", "blackbox"))

    assert ours.keys() == probed.keys() == theirs.keys() != set()
    if "ssl" in expression:
        assert ours == probed == theirs


def test_a_rule_about_the_exporter_itself_looks_at_the_program(watched: Watched) -> None:
    watched.wait_until_scraped()
    reloaded = "blackbox_exporter_config_last_reload_successful"

    for job in ("metrics", "blackbox"):
        watched.prometheus.wait_for(f'{reloaded}{{job="{job}"}}')
        assert found(watched, job, f"{reloaded} != 1") == {}


def test_the_phases_of_all_sites_are_averaged(watched: Watched) -> None:
    watched.wait_until_scraped()

    average = watched.prometheus.query("avg by (phase) (probe_http_duration_seconds)")

    phases = {labels["phase"]: seconds for labels, seconds in average}
    assert phases.keys() == {"resolve", "connect", "tls", "processing", "transfer"}
    assert phases["processing"] > 0.7 / len(SITES)
    assert phases["transfer"] > 0.4 / len(SITES)


def test_no_phase_takes_longer_than_its_check(watched: Watched) -> None:
    watched.wait_until_scraped()

    shares = watched.prometheus.query(
        "sum without (phase) (probe_http_duration_seconds) / probe_duration_seconds"
    )

    assert len(shares) == len(JOBS) * len(SITES)
    assert all(share <= 1 for _, share in shares), shares


def test_the_share_of_encrypted_sites_is_counted(watched: Watched) -> None:
    watched.wait_until_scraped()

    ((_, share),) = watched.prometheus.query("count(probe_http_ssl == 1) / count(probe_http_version)")

    assert share == pytest.approx(len(SECURE) / len(SITES))


def test_each_monitor_has_its_labels(watched: Watched) -> None:
    watched.wait_until_scraped()

    series = watched.prometheus.query('probe_success{team="web",job="website-health"}')

    wanted = {"monitor": "slow", "group": "shop", "location": "here", "team": "web", "job": "website-health"}
    assert [labels for labels, _ in series] == [
        wanted | {"__name__": "probe_success", "instance": watched.web}
    ]


@pytest.mark.parametrize("path", ["/metrics", "/probe"])
def test_promtool_finds_nothing_wrong_with_the_metrics(watched: Watched, path: str) -> None:
    watched.wait_until_scraped()

    status, text = get(watched.web, path, {"target": "secure", "module": "secure"})

    assert status == 200
    assert promtool("check", "metrics", text=text) == ""
