"""What others built on blackbox_exporter works on this program, seen with their own programs."""

import math
from collections.abc import Mapping
from contextlib import suppress

import pytest

from tests.program import until
from tests.prometheus import Labels, Samples, get, promtool, samples
from tests.watched_sites import NOT_200, NOT_UP, SITES, Watched

pytestmark = pytest.mark.clients

DAY_S = 24 * 3600
TIMES = {"probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_http_duration_seconds"}
WITHIN_S = 0.005
TRIES = 40
EXPLAINED = {
    # It counts the redirect that it did not follow.
    "moved, not followed": {"probe_http_redirects"},
    "moved too often": {"probe_http_redirects"},
}


def probed(address: str, watched: Watched, name: str, headers: Mapping[str, str] | None = None) -> Samples:
    """Probe a site as Prometheus does."""
    query = {"target": f"{watched.urls[name]}/", "module": name.replace(" ", "_")}
    status, text = get(address, "/probe", query, headers)
    assert status == 200, text
    return samples(text)


def of_times(found: Samples) -> dict[tuple[str, str], float]:
    return {
        (metric, labels.get("phase", "")): value
        for metric in TIMES & found.keys()
        for labels, value in found[metric]
    }


def sites_by_job(watched: Watched, found: list[tuple[Labels, float]]) -> dict[str, set[str]]:
    names = {f"{url}/": name for name, url in watched.urls.items()}
    by_job: dict[str, set[str]] = {"website-health": set(), "probe": set(), "blackbox": set()}
    for labels, _ in found:
        by_job[labels["job"]].add(labels.get("monitor") or names[labels["instance"]])
    return by_job


@pytest.mark.parametrize("name", SITES)
def test_blackbox_exporter_sees_the_same_values(watched: Watched, name: str) -> None:
    ours, theirs = (probed(at, watched, name) for at in (watched.web, watched.exporter))

    assert theirs.keys() - ours.keys() == set()
    for metric in theirs.keys() - TIMES - EXPLAINED.get(name, set()):
        ((our_labels, our_value),) = ours[metric]
        ((their_labels, their_value),) = theirs[metric]
        assert our_value == their_value, metric
        assert {label: our_labels.get(label) for label in their_labels} == their_labels, metric


@pytest.mark.parametrize("name", SITES)
def test_blackbox_exporter_measures_the_same_times(watched: Watched, name: str) -> None:
    fastest: list[dict[tuple[str, str], float]] = [{}, {}]
    for _ in range(TRIES):
        for best, address in zip(fastest, (watched.web, watched.exporter), strict=True):
            for metric, seconds in of_times(probed(address, watched, name)).items():
                best[metric] = min(seconds, best.get(metric, math.inf))
        ours, theirs = fastest
        assert ours.keys() == theirs.keys()
        apart = {metric: (ours[metric], theirs[metric]) for metric in theirs}
        if all(abs(our - their) < WITHIN_S for our, their in apart.values()):
            return
    pytest.fail(f"still apart after {TRIES} tries: {apart}")


def test_the_scrape_timeout_ends_a_probe_as_blackbox_exporter_ends_it(watched: Watched) -> None:
    def ends_in_time(address: str) -> bool:
        found = probed(address, watched, "slow", {"X-Prometheus-Scrape-Timeout-Seconds": "1.0"})
        ((_, seconds),) = found["probe_duration_seconds"]
        return found["probe_success"] == [({}, 0)] and 0.45 <= seconds < 1.1

    until(lambda: ends_in_time(watched.exporter), "the exporter's probe ends in time")
    until(lambda: ends_in_time(watched.web), "a probe that joined no check of the schedule ends in time")


@pytest.mark.parametrize(
    ("rule", "found", "only_ours"),
    [
        ("probe_success == 0", NOT_UP, set()),
        ("avg_over_time(probe_success[30d]) * 100 < 99.9", NOT_UP, set()),
        # blackbox_exporter knows nothing of a certificate that it did not accept.
        ("probe_ssl_earliest_cert_expiry - time() < 21*24*3600", {"expiring"}, {"expired"}),
        ("avg_over_time(probe_duration_seconds[1m]) > 1", {"slow"}, set()),
        ("probe_http_status_code <= 199 or probe_http_status_code >= 400", NOT_200, set()),
    ],
)
def test_a_rule_written_for_blackbox_exporter_finds_its_sites(
    watched: Watched, rule: str, found: set[str], only_ours: set[str]
) -> None:
    watched.wait_until_scraped()

    wanted = {"website-health": found | only_ours, "probe": found | only_ours, "blackbox": found}

    def finds() -> dict[str, set[str]]:
        return sites_by_job(watched, watched.prometheus.query(rule))

    with suppress(TimeoutError):  # the first checks, while all starts, may be slow
        until(lambda: finds() == wanted, rule)
    assert finds() == wanted


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

    assert len(shares) == 3 * len(SITES)
    assert all(share <= 1 for _, share in shares), shares


def test_the_share_of_encrypted_sites_is_counted(watched: Watched) -> None:
    watched.wait_until_scraped()

    ((_, share),) = watched.prometheus.query("count(probe_http_ssl == 1) / count(probe_http_version)")

    assert share == pytest.approx(4 / len(SITES))


def test_each_monitor_has_its_labels(watched: Watched) -> None:
    watched.wait_until_scraped()

    found = watched.prometheus.query('probe_success{team="web"}')

    wanted = {"monitor": "slow", "group": "shop", "location": "here", "team": "web", "job": "website-health"}
    assert [labels for labels, _ in found] == [
        wanted | {"__name__": "probe_success", "instance": watched.web}
    ]


@pytest.mark.parametrize("path", ["/metrics", "/probe"])
def test_promtool_finds_nothing_wrong_with_the_metrics(watched: Watched, path: str) -> None:
    watched.wait_until_scraped()

    status, text = get(watched.web, path, {"target": "secure", "module": "any"})

    assert status == 200
    assert promtool("check", "metrics", text=text) == ""
