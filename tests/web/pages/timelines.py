"""Reads the timelines of pages."""

import re
from html import unescape
from typing import NamedTuple


class Entry(NamedTuple):
    """One thing that happened, as a page shows it."""

    marks: list[str]
    text: str


def words(html: str) -> str:
    """The text of a part of a page, on one line."""
    return " ".join(unescape(re.sub("<[^>]+>", " ", html)).split())


def entries(page: str) -> list[Entry]:
    """All entries of a page's timelines, from the top."""
    found = re.findall(r'<li(?: [^>]*)? class="entry ([\w ]+)">(.*?)</div></li>', page, re.DOTALL)
    return [Entry(marks.split(), words(html)) for marks, html in found]


def days(page: str) -> list[tuple[str, int]]:
    """The headings of a page's timelines, with the number of entries below each."""
    parts = re.findall(r'<div class="(?:now|day)"><h\d>(.*?)</h\d>(.*?)</ol></div>', page, re.DOTALL)
    return [(words(heading), html.count('class="entry ')) for heading, html in parts]
