"""What a peer did wrong, on its way from where it was seen to where it is answered.

Both exceptions stay inside this package: a stream fault becomes RESET_STREAM, STOP_SENDING and an event, a connection
fault CONNECTION_CLOSE (RFC 9114 §8).
"""

from __future__ import annotations

__all__ = ["ConnectionFault", "StreamFault"]


class ConnectionFault(Exception):  # noqa: N818  # an exception that is not an error of this package's users
    """The connection cannot go on.

    Args:
        code: the code for CONNECTION_CLOSE.
        message: the reason, for a person; it travels as the reason phrase.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StreamFault(Exception):  # noqa: N818
    """One stream cannot go on.

    Args:
        stream_id: the stream.
        code: the code for RESET_STREAM and STOP_SENDING.
        message: the reason, for a person.
    """

    def __init__(self, stream_id: int, code: int, message: str) -> None:
        super().__init__(message)
        self.stream_id = stream_id
        self.code = code
        self.message = message
