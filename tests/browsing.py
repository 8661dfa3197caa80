"""A headless Chromium that looks at the site, and notes what should not happen."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

RULES = Path(__file__).parent / "browser"
AXE = RULES / "node_modules/axe-core/axe.min.js"
WAIT_MS = 60_000
TOO_WIDE = """(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth <= clientWidth ? [] : [...document.querySelectorAll("body *")]
        .filter((each) => each.getBoundingClientRect().right > clientWidth && !each.closest(".scroll"))
        .map((each) => each.outerHTML.slice(0, 200));
})()"""


HIDE = """
Object.defineProperty(document, "visibilityState", { configurable: true, value: "hidden" });
document.dispatchEvent(new Event("visibilitychange"));
"""
SEE = "delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'));"
RENEW = SEE


def need_chromium() -> str:
    """Skip the test where it is not installed."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs chromium")
    return program


def axe() -> str:
    """Read the rules of accessibility, installed from the lock file."""
    if not AXE.exists():
        if shutil.which("npm") is None:
            pytest.skip("needs npm")
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=RULES, check=True)
    return AXE.read_text(encoding="utf-8")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start one; root may only without its sandbox."""
    program = need_chromium()
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=arguments, timeout=WAIT_MS)
        try:
            yield browser
        finally:
            await browser.close()


class Window:
    """One page of the browser; `troubles` are errors of the console and requests to elsewhere."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.troubles: list[str] = []
        self._url = url
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", lambda request: self._look(request.url))
        page.on("dialog", lambda dialog: self.troubles.append(f"dialog: {dialog.message}"))

    async def open(self, path: str) -> None:
        """Go there; a page with a script is ready when it is live."""
        await self.page.goto(self._url + path)

    async def live(self) -> None:
        """Wait until news reach the page."""
        await self.page.locator("#live", has_text="live").wait_for()

    async def violations(self) -> list[str]:
        """Judge the page by axe-core; the policy lets no foreign script in, but the browser's owner may."""
        await self.page.evaluate(axe())
        found = await self.page.evaluate("axe.run()")
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    async def too_wide(self) -> list[str]:
        """Where the page scrolls sideways, name what sticks out."""
        found: list[str] = await self.page.evaluate(TOO_WIDE)
        return found

    async def focused(self) -> str:
        """Say what has the keyboard."""
        return str(await self.page.evaluate("document.activeElement.textContent.trim()"))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    def _look(self, url: str) -> None:
        if not url.startswith((self._url, "data:", "blob:")):
            self.troubles.append(f"request to {url}")


@asynccontextmanager
async def window(browser: Browser, url: str, **options: Any) -> AsyncIterator[Window]:
    """Open one; in the end nothing must have gone wrong in it."""
    page = await browser.new_page(viewport={"width": options.pop("width", 1_280), "height": 900}, **options)
    shown = Window(page, url)
    yield shown
    await page.close()
    assert shown.troubles == []
