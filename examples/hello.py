"""The smallest handler, for ``hface-trio server``.

Run it in the directory of this file::

    hface-trio server hello:handler http://localhost:8080
"""

from __future__ import annotations

from hface_trio import HTTPStream


async def handler(stream: HTTPStream) -> None:
    """Answer every request with a greeting."""
    await stream.send_response(200, [(b"content-type", b"text/plain")], b"Hello from %b\n" % stream.path)
