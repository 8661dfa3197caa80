"""The few files that pages need. Their URLs have a hash of the content, so that browsers may keep them."""

import gzip
import mimetypes
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import brotli
from aiohttp import web

from monitor.web.clients.requests import takes_coding

_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


class _File(NamedTuple):
    content_type: str
    version: str
    content: bytes
    compressed: Mapping[str, bytes]
    """By the name of the coding, the smallest first; none is larger than the content."""


def _read(path: Path) -> _File:
    content = path.read_bytes()
    compressed = {"br": brotli.compress(content), "gzip": gzip.compress(content)}
    return _File(
        mimetypes.guess_type(path.name)[0] or "",
        sha256(content).hexdigest()[:16],
        content,
        {coding: each for coding, each in compressed.items() if len(each) < len(content)},
    )


_FILES = {path.name: _read(path) for path in Path(__file__).parents[1].joinpath("static").iterdir()}


def static_url(name: str) -> str:
    """Return the path and query of a file as it is now."""
    return f"/static/{name}?v={_FILES[name].version}"


async def static_file(request: web.Request) -> web.Response:
    """Send a file; what is asked for never becomes a path."""
    file = _FILES.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    kept = _FOR_GOOD if request.query.get("v") == file.version else _ASK_AGAIN
    headers = {"Cache-Control": kept, "ETag": f'"{file.version}"', "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    for coding, content in file.compressed.items():
        if takes_coding(request.headers, coding):
            headers["Content-Encoding"] = coding
            return web.Response(body=content, content_type=file.content_type, headers=headers)
    return web.Response(body=file.content, content_type=file.content_type, headers=headers)
