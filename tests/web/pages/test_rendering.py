import re
from pathlib import Path
from typing import get_args

import pytest
from jinja2 import UndefinedError

from monitor import web
from monitor.web.pages.rendering import environment
from monitor.web.queries import IncidentKind

WEB = Path(str(web.__file__)).parent


def test_what_a_site_sends_is_escaped_and_what_a_page_forgets_is_a_bug() -> None:
    template = environment().from_string("<p>{{ text }}</p>")

    assert template.render(text="<script>") == "<p>&lt;script&gt;</p>"
    with pytest.raises(UndefinedError):
        template.render()


def test_the_style_sheets_have_nothing_that_no_page_uses() -> None:
    styles = "\n".join(path.read_text("utf-8") for path in WEB.rglob("*.css"))
    styles = re.sub(r"/\*.*?\*/", "", styles, flags=re.DOTALL)
    pages = [path for end in ("html", "js", "py") for path in WEB.rglob(f"*.{end}")]
    words = set(re.findall(r"\w+", "\n".join(path.read_text("utf-8") for path in pages)))
    words |= {*get_args(IncidentKind)}

    selectors = re.sub(r"\{[^{}]*\}", "", styles)
    assert set(re.findall(r"\.([a-z]\w*)", selectors)) - words == set()
    assert set(re.findall(r"(--[\w-]+):", styles)) - set(re.findall(r"var\((--[\w-]+)", styles)) == set()
