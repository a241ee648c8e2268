"""Where requests go: authorities and targets, by the same grammar in every version of HTTP.

Source: RFC 3986 §3.2 (authority), RFC 9110 §7.1, §7.2 (target, Host), §9.3.6 (CONNECT), RFC 9112 §3.2, RFC 9113 §8.3.1,
§8.5, RFC 9114 §4.3.1, §4.4.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_authority", "is_host_with_port", "is_target"]

# uri-host = IP-literal / IPv4address / reg-name; Host = uri-host [ ":" port ] (RFC 9110 §7.2, RFC 3986 §3.2)
_IP_LITERAL: Final = rb"\[(?:[0-9A-Fa-f:.]++|[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++)\]"
_UNESCAPED: Final = rb"[A-Za-z0-9\-._~!$&'()*+,;=]*+"
_REG_NAME: Final = _UNESCAPED + rb"(?:%[0-9A-Fa-f]{2}" + _UNESCAPED + rb")*+"
# authority-form = uri-host ":" port (RFC 9112 §3.2.3), neither of them empty (RFC 9110 §9.3.6)
_host_with_port: Final = re.compile(rb"(?:(?!:)" + _REG_NAME + rb"|" + _IP_LITERAL + rb"):([0-9]{1,5})").fullmatch
_MAXIMUM_PORT: Final = 0xFFFF

is_authority: Final = re.compile(rb"(?:" + _REG_NAME + rb"|" + _IP_LITERAL + rb")(?::[0-9]*+)?").fullmatch
"""Match a host, which may be empty, and perhaps a port; nothing of a user, which has no place in a request."""

is_target: Final = re.compile(rb"[\x21\x22\x24-\x7e]++").fullmatch
"""Match visible ASCII without a fragment."""


def is_host_with_port(authority: bytes) -> bool:
    """Whether a tunnel can be asked for to there: a host, and a port that exists."""
    match = _host_with_port(authority)
    return match is not None and 0 < int(match[1]) <= _MAXIMUM_PORT
