"""What the exceptions of the ssl module mean, in words for a person."""

from __future__ import annotations

import re
import ssl

__all__ = ["describe_tls_error"]

_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_(.+)")
_WORDS = {
    "HTTP_REQUEST": "the peer speaks plain HTTP",
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS",
    "UNEXPECTED_EOF_WHILE_READING": "the peer cut the connection off",
    "UNSUPPORTED_PROTOCOL": "the peer speaks no TLS version that is allowed here",
    "NO_SHARED_CIPHER": "the peer and this side have no cipher suite in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer sent no certificate",
}


def describe_tls_error(exc: ssl.SSLError) -> str:
    """Return one line that says what went wrong, without names of OpenSSL's source files."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {exc.verify_message.rstrip('.')}"
    if isinstance(exc, ssl.SSLZeroReturnError):
        return "the peer ended the connection"
    if isinstance(exc, ssl.SSLEOFError):
        return _WORDS["UNEXPECTED_EOF_WHILE_READING"]
    reason = exc.reason or ""
    if reason in _WORDS:
        return _WORDS[reason]
    alert = _ALERT.fullmatch(reason)
    if alert is not None:
        return f"the peer refused: {alert[1].lower().replace('_', ' ')}"
    return reason.lower().replace("_", " ") or str(exc.strerror or exc)
