"""What a peer did wrong, on its way from where it was seen to where it is answered.

Both exceptions stay inside this package: a stream fault becomes RST_STREAM and an event, a connection fault GOAWAY and
the end of the connection (RFC 9113 §5.4).
"""

from __future__ import annotations

__all__ = ["ConnectionFault", "StreamFault"]


class ConnectionFault(Exception):  # noqa: N818  # an exception that is not an error of this package's users
    """The connection cannot go on.

    Args:
        code: the code for GOAWAY.
        message: the reason, for a person; it travels as GOAWAY's additional data.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StreamFault(Exception):  # noqa: N818
    """One stream cannot go on.

    Args:
        stream_id: the stream.
        code: the code for RST_STREAM.
        message: the reason, for a person.
    """

    def __init__(self, stream_id: int, code: int, message: str) -> None:
        super().__init__(message)
        self.stream_id = stream_id
        self.code = code
        self.message = message
