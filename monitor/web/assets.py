"""`/static/…`: the style sheet, the script and the icon."""

from pathlib import Path

from aiohttp import web

_FOLDER = Path(__file__).with_name("static")


def asset_routes() -> list[web.AbstractRouteDef]:
    return [web.static("/static", _FOLDER, append_version=False)]
