from pathlib import Path

import pytest
from jinja2 import UndefinedError

from monitor.config.load import load
from monitor.config.public_url import MASK
from monitor.web.pages.rendering import environment, settings_of

CONFIG = """{
  "monitors": [{
    "name": "shop",
    "url": "https://me:hidden-1@shop.example/?token=hidden-2&page=3",
    "headers": {"X-Key": "hidden-3"},
    "basic_auth": {"username": "me", "password": "hidden-4"},
    "body": "hidden-5",
    "expect": {"body_regex": ["Welcome", "${SECRET}"], "max_response_time_s": 2},
    "labels": {"team": "web"},
    "verify_tls": false
  }]
}"""


def test_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(CONFIG, encoding="utf-8")

    settings = dict(settings_of(load(file, {"SECRET": "hidden-6"}).monitors[0]))

    assert "hidden" not in str(settings)
    assert settings["url"] == f"https://shop.example/?token={MASK}&page=3"
    assert settings["header X-Key"] == settings["body"] == MASK
    assert settings["basic_auth"] == f"username: me, password: {MASK}"
    assert settings["labels"] == "team: web"
    assert settings["verify_tls"] == "no"
    assert settings["follow_redirects"] == "yes"
    assert settings["expect"] == "status: 200-399, body_regex: 2 set, max_response_time_s: 2"
    assert "proxy" not in settings
    assert "None" not in str(settings)


def test_what_a_site_sends_is_escaped_and_what_a_page_forgets_is_a_bug() -> None:
    template = environment().from_string("<p>{{ text }}</p>")

    assert template.render(text="<script>") == "<p>&lt;script&gt;</p>"
    with pytest.raises(UndefinedError):
        template.render()
