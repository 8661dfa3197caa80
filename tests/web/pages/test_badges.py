from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from monitor.web.pages.badges import response_time_badge, status_badge, uptime_badge

SVG = "{http://www.w3.org/2000/svg}"


def texts(badge: Markup) -> tuple[str, str]:
    """Read the badge's words, and the colour behind the second."""
    drawing = ET.fromstring(badge)  # noqa: S314 - made by us
    fill = drawing.find(f"{SVG}path")
    assert fill is not None
    return drawing.findtext(f"{SVG}title") or "", fill.attrib["fill"]


@pytest.mark.parametrize(
    ("badge", "words", "colour"),
    [
        (status_badge("up"), "status: up", "#1e8e4e"),
        (status_badge("degraded"), "status: degraded", "#8a6200"),
        (status_badge("down"), "status: down", "#c62f2f"),
        (status_badge("partial"), "status: partly down", "#c62f2f"),
        (status_badge("maintenance"), "status: in maintenance", "#244f96"),
        (status_badge("unknown"), "status: unknown", "#5f6975"),
        (uptime_badge(0.99954, 30), "uptime 30 d: 99.95 %", "#1e8e4e"),
        (uptime_badge(0.99, 7), "uptime 7 d: 99.00 %", "#8a6200"),
        (uptime_badge(0.5, 90), "uptime 90 d: 50.00 %", "#c62f2f"),
        (uptime_badge(None, 1), "uptime 1 d: -", "#5f6975"),
        (response_time_badge(0.25), "response time: 250 ms", "#1e8e4e"),
        (response_time_badge(None), "response time: -", "#5f6975"),
    ],
)
def test_a_badge_shows_one_thing_in_words_and_colour(badge: Markup, words: str, colour: str) -> None:
    assert texts(badge) == (words, colour)


def test_no_word_can_leave_the_badge() -> None:
    assert texts(status_badge('"><script>alert(1)</script>'))[0] == 'status: "><script>alert(1)</script>'
