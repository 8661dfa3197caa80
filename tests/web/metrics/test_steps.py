"""Which step the metrics of a check are of."""

import pytest

from monitor.config.expect import Expect
from monitor.config.model import Monitor
from monitor.config.steps.step import Step
from monitor.result import Phases, StepResult
from monitor.web.metrics.blackbox import gauges
from monitor.web.metrics.steps import shown
from tests.web.metrics.test_blackbox import result

SITE = "http://site.test/"
FORM = Step(name="form", url=SITE, follow_redirects=False, expect=Expect(json=("ok",)))
ACCOUNT = Step(name="account", url=SITE)
MONITOR = Monitor(name="site", url=SITE, steps=(FORM, ACCOUNT))


@pytest.mark.parametrize(
    ("ran", "redirects"),
    [
        ([("form", "status")], 1),
        ([("form", "status"), ("account", "status")], 1),
        ([("form", None), ("account", None)], 0),
        ([("form", None), ("account", None), ("of before", None)], 0),
        ([], 0),
    ],
)
def test_a_redirect_is_counted_as_the_step_that_is_shown_follows_it(
    ran: list[tuple[str, str | None]], redirects: int
) -> None:
    steps = tuple(StepResult(name, 302, 0.25, Phases(), reason) for name, reason in ran)
    found = result(response_status=302, redirects=0, steps=steps or None)

    made = gauges(found, shown(found, MONITOR), 10.0)

    assert (made["probe_http_redirects"], made["probe_failed_due_to_cel"]) == (redirects, 0)
