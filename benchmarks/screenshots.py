"""The pictures of the documentation: `python -m benchmarks.screenshots [FOLDER]`.

Fills an embedded PostgreSQL with the results of `benchmarks.demo` and shows its pages in Chromium.
"""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import async_playwright

from benchmarks import demo
from benchmarks.running import ROOT
from monitor.embedded.postgres import postgres
from monitor.runtime.process.data_dir import locked
from monitor.web.server import serving
from monitor.web.site import Site
from tests.web.visitor import running_on

CHROMIUM = "/usr/bin/chromium"
MAX_BYTES = 150_000
PICTURES = {
    "overview": ("", "light", 820),
    "monitor": ("monitors/Checkout?range=30d", "dark", 1_000),
    "status": ("status", "light", 820),
    "incident": (f"incidents/{demo.LAST_INCIDENT}", "light", 820),
    "customers": (f"status#incident-{demo.LAST_INCIDENT}", "dark", 820),
}


async def take(folder: Path) -> None:
    """Write all pictures to a folder."""
    async with AsyncExitStack() as resources:
        scratch = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="whm-")), "d")
        resources.enter_context(locked(scratch))
        database = await demo.opened(await resources.enter_async_context(postgres(scratch)))
        resources.push_async_callback(database.close)
        config = demo.config(web_port=0)
        site = Site(config)
        site.program.started = running = running_on(database)
        (url,) = await resources.enter_async_context(
            serving(config, site.access, site.routes(), site.middlewares)
        )
        events = asyncio.create_task(site.events.run(running.reader))
        resources.callback(events.cancel)
        chromium = (await resources.enter_async_context(async_playwright())).chromium
        browser = await chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        resources.push_async_callback(browser.close)
        for name, (path, scheme, height) in PICTURES.items():
            page = await browser.new_page(
                viewport={"width": 1_280, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            await page.goto(url + path)
            if not path.startswith("status"):
                await page.locator("#live", has_text="live").wait_for()
            file = folder / f"{name}.png"
            await page.screenshot(path=file)
            size = file.stat().st_size
            print(f"{file}: {size // 1_000} kB")
            assert size < MAX_BYTES  # noqa: S101
            await page.close()
        site.events.end()


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"))
