"""What a peer did wrong, on its way from where it was seen to where it is answered.

Both exceptions stay inside this package. A stream fault ends its stream, with RST_STREAM (RFC 9113 §5.4) or RESET_STREAM and
STOP_SENDING (RFC 9114 §8), and becomes an event; a connection fault ends the connection, with GOAWAY or CONNECTION_CLOSE.
"""

from __future__ import annotations

__all__ = ["ConnectionFault", "StreamFault"]


class ConnectionFault(Exception):  # noqa: N818  # an exception that is not an error of this package's users
    """The connection cannot go on.

    Args:
        code: the code to tell the peer.
        message: the reason, for a person; it travels as GOAWAY's additional data or as the reason phrase.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StreamFault(Exception):  # noqa: N818
    """One stream cannot go on.

    Args:
        stream_id: the stream.
        code: the code to reset it with.
        message: the reason, for a person.
    """

    def __init__(self, stream_id: int, code: int, message: str) -> None:
        super().__init__(message)
        self.stream_id = stream_id
        self.code = code
        self.message = message
