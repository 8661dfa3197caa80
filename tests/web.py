"""What tests of the web server share."""

from monitor.config import Config
from monitor.web.access import Access

ANYWHERE = Config(monitors=(), web_port=0)


def nobody_logs_in(config: Config) -> Access:
    """Make what stands before the pages, where no test looks at the page to log in."""
    return Access(config, lambda onward, problem: f"{onward} {problem}")
