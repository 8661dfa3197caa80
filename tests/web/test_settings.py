"""What is shown of the settings of a monitor."""

from pathlib import Path

import msgspec

from monitor.config.public_url import MASK
from monitor.config.reading.load import load
from monitor.web.settings import in_words, settings_of

ENVIRONMENT = {"SECRET": "hidden-6", "PINNED": "0a" * 32}
CONFIG = """{
  "monitors": [{
    "name": "shop",
    "url": "https://me:hidden-1@shop.example/?token=hidden-2&page=3",
    "headers": {"X-Key": "hidden-3"},
    "basic_auth": {"username": "me", "password": "hidden-4"},
    "body": "hidden-5",
    "expect": {
      "body_regex": ["Welcome", "${SECRET}"],
      "header_regex": {"X-Key": "hidden-7"},
      "certificate_issuer": "hidden-9",
      "certificate_sha256": ["${PINNED}", "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f"],
      "tls": "required",
      "max_response_time_s": 2
    },
    "deny_addresses": ["10.0.0.0/8"],
    "maintenance": [{"starts_at": "2026-12-01T10:00Z", "ends_at": "2026-12-01T11:00Z"}],
    "labels": {"team": "web"},
    "verify_tls": false
  }, {
    "url": "https://api.example/",
    "oauth2": {"token_url": "https://idp.example/hidden-1", "client_id": "me", "client_secret": "hidden-2"}
  }]
}"""


def test_settings_have_the_types_of_json_and_no_secrets(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(CONFIG, encoding="utf-8")

    monitor = load(file, ENVIRONMENT).monitors[0].model_copy(update={"ca_file": file})
    settings = msgspec.json.decode(msgspec.json.encode(settings_of(monitor)))

    assert "hidden" not in str(settings)
    assert settings["url"] == f"https://shop.example/?token={MASK}&page=3"
    assert settings["headers"] == {"X-Key": MASK}
    assert (settings["body"], settings["bearer_token"]) == (MASK, None)
    assert settings["basic_auth"] == {"username": "me", "password": MASK}
    assert (settings["verify_tls"], settings["timeout_s"], settings["proxy"]) == (False, 10, None)
    expect = settings["expect"]
    assert (expect["status"], expect["body_regex"], expect["max_response_time_s"]) == (
        ["200-399"],
        [MASK, MASK],
        2,
    )
    assert expect["header_regex"] == {"X-Key": MASK}
    assert (expect["tls"], expect["certificate_issuer"]) == ("required", MASK)
    assert expect["certificate_sha256"] == [MASK, "5f" * 32]
    assert settings["deny_addresses"] == ["10.0.0.0/8"]
    assert settings["maintenance"][0]["starts_at"] == "2026-12-01T10:00:00Z"
    assert settings["ca_file"] == str(file)


def test_the_secrets_of_a_token_server_are_masked(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(CONFIG, encoding="utf-8")

    monitor = load(file, ENVIRONMENT).monitors[1]

    assert settings_of(monitor)["oauth2"] == {
        "token_url": MASK,
        "client_id": "me",
        "client_secret": MASK,
        "scopes": [],
        "auth_method": "client_secret_basic",
        "endpoint_params": {},
    }
    shown = {each.label: each.text for each in in_words(monitor)}
    assert shown["oauth2"].startswith(f"token url: {MASK}, client id: me, client secret: {MASK}")


def test_people_read_what_is_set(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(CONFIG, encoding="utf-8")

    settings = in_words(load(file, ENVIRONMENT).monitors[0])
    own = {each.label: each.text for each in settings if not each.is_default}
    usual = {each.label: each.text for each in settings if each.is_default}

    assert own.keys() == {
        "headers",
        "body",
        "basic auth",
        "verify tls",
        "deny addresses",
        "maintenance",
        "expected body regex",
        "expected header regex",
        "expected certificate issuer",
        "expected certificate sha256",
        "expected tls",
        "expected max response time",
    }
    assert own["headers"] == f"X-Key: {MASK}"
    assert own["basic auth"] == f"username: me, password: {MASK}"
    assert own["verify tls"] == "no"
    assert own["expected body regex"] == "2 set"
    assert own["expected max response time"] == "2 s"
    assert usual["expected status"] == "200-399"
    assert (usual["follow redirects"], usual["timeout"], usual["interval"]) == ("yes", "10 s", "1 min")
    assert usual["max body bytes"] == "1,048,576"
    assert "hidden" not in str(settings)
    assert "None" not in str(settings)


STEPS = """{"monitors": [{"name": "login", "steps": [
    {"name": "form", "url": "https://me:hidden-1@shop.example/", "headers": {"X-Key": "hidden-2"},
     "json": "hidden-3",
     "expect": {"body_regex": "hidden-4"}, "save": {"csrf": {"header": "X-Csrf", "regex": "(hidden-5)"}}},
    {"name": "log in", "url": "https://shop.example/?token={{csrf}}", "always": true}
]}]}"""


def test_steps_are_shown_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(STEPS, encoding="utf-8")
    (monitor,) = load(file, {}).monitors

    settings = msgspec.json.decode(msgspec.json.encode(settings_of(monitor)))
    words = {each.label: each.text for each in in_words(monitor)}

    assert "hidden" not in str(settings) + str(words)
    form, log_in = settings["steps"]
    assert (form["headers"], form["json"], form["expect"]["body_regex"]) == ({"X-Key": MASK}, MASK, [MASK])
    assert form["save"]["csrf"] == {
        "json": None,
        "header": "X-Csrf",
        "regex": MASK,
        "body_regex": None,
        "cookie": None,
    }
    assert (log_in["url"], log_in["expect"]) == (f"https://shop.example/?token={MASK}", None)
    assert words["step form"] == "POST https://shop.example/, saves csrf"
    assert words["step log in"] == f"GET https://shop.example/?token={MASK}, always"
    assert "method" not in words
