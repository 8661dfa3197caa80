import pytest
from jinja2 import UndefinedError

from monitor.web.pages.rendering import environment


def test_what_a_site_sends_is_escaped_and_what_a_page_forgets_is_a_bug() -> None:
    template = environment().from_string("<p>{{ text }}</p>")

    assert template.render(text="<script>") == "<p>&lt;script&gt;</p>"
    with pytest.raises(UndefinedError):
        template.render()
