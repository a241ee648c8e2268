"""Sections that break one rule each, and sections that are odd and break none."""

from __future__ import annotations

from .http2.raw_peer import REQUEST

CONNECT = [(b":method", b"CONNECT"), (b":authority", b"example.test:443")]
EXTENDED = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"https"),
    (b":authority", b"example.test"),
    (b":path", b"/chat"),
]


def without(section, name):
    return [field for field in section if field[0] != name]


def changed(section, name, value):
    return [(n, value if n == name else v) for n, v in section]


BAD_AUTHORITIES = [
    b"caf\xc3\xa9.test",
    b"\xff\xfe",
    b'a"b',
    b"a<b>",
    b"a{b}",
    b"a|b",
    b"a\\b",
    b"a^b",
    b"a`b",
    b"a:x",
    b"a:80:80",
    b"a:-1",
    b"[zz",
    b"[::1",
    b"[zz]",
    b"::1",
    b"a%zz",
    b"a%2",
    b"u@a",
    b"a/b",
    b"a b",
]
NO_TUNNELS_END = [b"a", b"a:", b":443", b"a:0", b"a:65536", b"a:99999", b"a:" + b"9" * 5000, b"[::1]", *BAD_AUTHORITIES]
TUNNELS_ENDS = [b"a:1", b"a:65535", b"192.0.2.1:0443", b"[2001:db8::1]:443", b"a_b.test:443", b"a%20b:443"]
BAD_TARGETS = [b"/x#y", b"/#", b"/caf\xc3\xa9", b"/\xff", b"/a b", b"/\t", b"/\x7f"]
AUTHORITIES = [b"a", b"a:80", b"a:", b":80", b"[::1]", b"[::1]:80", b"[v1.a:b]", b"a%20b", b"a_b", b"a,b", b"A.Test"]
TARGETS = [b"/", b"//a", b"/%zz", b'/"<>\\^`{|}', b"/?a=[b]"]

GOOD_REQUESTS = {
    "plain": REQUEST,
    "host instead of authority": [*without(REQUEST, b":authority"), (b"host", b"example.test")],
    "host and authority agree": [*REQUEST, (b"host", b"Example.Test")],
    "te trailers": [*REQUEST, (b"te", b"trailers")],
    "empty value": [*REQUEST, (b"x", b"")],
    "same content-length twice": [*REQUEST, (b"content-length", b"5"), (b"content-length", b"5")],
    "asterisk": changed(changed(REQUEST, b":method", b"OPTIONS"), b":path", b"*"),
    "connect": CONNECT,
    "extended connect": EXTENDED,
    **{f"authority {each!r}": changed(REQUEST, b":authority", each) for each in AUTHORITIES},
    **{f"path {each!r}": changed(REQUEST, b":path", each) for each in TARGETS},
    **{f"connect to {each!r}": changed(CONNECT, b":authority", each) for each in TUNNELS_ENDS},
    "other scheme": changed(changed(REQUEST, b":scheme", b"coap"), b":path", b"x"),
    "tab in value": [*REQUEST, (b"x", b"a\tb")],
    "obs-text in value": [*REQUEST, (b"x", b"caf\xc3\xa9")],
}

BAD_FIELDS = {
    "upper-case name": (b"Accept", b"*/*"),
    "space in name": (b"a b", b"c"),
    "empty name": (b"", b"c"),
    "control in name": (b"a\x00b", b"c"),
    "non-ASCII name": (b"caf\xe9", b"c"),
    "colon in name": (b"a:b", b"c"),
    "CR in value": (b"a", b"b\rc"),
    "LF in value": (b"a", b"b\nc"),
    "NUL in value": (b"a", b"b\x00c"),
    "SOH in value": (b"a", b"b\x01c"),
    "ESC in value": (b"a", b"\x1b"),
    "US in value": (b"a", b"b\x1f"),
    "DEL in value": (b"a", b"b\x7fc"),
    "VT in value": (b"a", b"b\x0bc"),
    "leading space": (b"a", b" b"),
    "trailing tab": (b"a", b"b\t"),
    "trailing LF": (b"a", b"b\n"),
    "connection": (b"connection", b"close"),
    "keep-alive": (b"keep-alive", b"timeout=5"),
    "proxy-connection": (b"proxy-connection", b"close"),
    "transfer-encoding": (b"transfer-encoding", b"chunked"),
    "upgrade": (b"upgrade", b"h2c"),
    "te": (b"te", b"gzip"),
    "te beside trailers": (b"te", b"trailers, gzip"),
    "unknown pseudo": (b":foo", b"bar"),
    "pseudo behind field": (b":path", b"/"),
    "content-length not a number": (b"content-length", b"5x"),
    "content-length negative": (b"content-length", b"-5"),
    "content-length list": (b"content-length", b"5, 5"),
    "content-length empty": (b"content-length", b""),
    "content-length of 20 digits": (b"content-length", b"1" * 20),
}

BAD_REQUESTS = {
    "no method": without(REQUEST, b":method"),
    "no scheme": without(REQUEST, b":scheme"),
    "no path": without(REQUEST, b":path"),
    "empty path": changed(REQUEST, b":path", b""),
    "relative path": changed(REQUEST, b":path", b"index"),
    "space in path": changed(REQUEST, b":path", b"/a b"),
    "asterisk for GET": changed(REQUEST, b":path", b"*"),
    "no authority and no host": without(REQUEST, b":authority"),
    "empty authority": changed(REQUEST, b":authority", b""),
    "userinfo in authority": changed(REQUEST, b":authority", b"a@example.test"),
    "path in authority": changed(REQUEST, b":authority", b"example.test/x"),
    "method twice": [REQUEST[0], *REQUEST],
    "method not a token": changed(REQUEST, b":method", b"G ET"),
    "status in request": [*REQUEST[:2], (b":status", b"200"), *REQUEST[2:]],
    "host disagrees": [*REQUEST, (b"host", b"other.test")],
    "host twice": [*REQUEST, (b"host", b"example.test"), (b"host", b"example.test")],
    "conflicting content-length": [*REQUEST, (b"content-length", b"5"), (b"content-length", b"6")],
    "protocol without CONNECT": [*REQUEST[:1], (b":protocol", b"websocket"), *REQUEST[1:]],
    "CONNECT with path": [*CONNECT, (b":path", b"/")],
    "CONNECT with scheme": [*CONNECT, (b":scheme", b"https")],
    "CONNECT without authority": [CONNECT[0], (b"host", b"example.test")],
    "extended CONNECT without path": without(EXTENDED, b":path"),
    "extended CONNECT without scheme": without(EXTENDED, b":scheme"),
    "extended CONNECT of no protocol": changed(EXTENDED, b":protocol", b""),
    "extended CONNECT of two words": changed(EXTENDED, b":protocol", b"web socket"),
    "nothing": [],
    **{f"authority {each!r}": changed(REQUEST, b":authority", each) for each in BAD_AUTHORITIES},
    **{f"host {each!r}": [*without(REQUEST, b":authority"), (b"host", each)] for each in BAD_AUTHORITIES},
    **{f"path {each!r}": changed(REQUEST, b":path", each) for each in BAD_TARGETS},
    **{f"CONNECT to {each[:20]!r}": changed(CONNECT, b":authority", each) for each in NO_TUNNELS_END},
} | {f"field: {name}": [*REQUEST, field] for name, field in BAD_FIELDS.items()}

BAD_RESPONSES = {
    "no status": [],
    "status of two digits": [(b":status", b"99")],
    "status of four digits": [(b":status", b"2000")],
    "status not a number": [(b":status", b"2xx")],
    "status twice": [(b":status", b"200"), (b":status", b"200")],
    "status 101": [(b":status", b"101")],
    "request field": [(b":status", b"200"), (b":path", b"/")],
} | {f"field: {name}": [(b":status", b"200"), field] for name, field in BAD_FIELDS.items()}

BAD_TRAILERS = {"pseudo": [(b":path", b"/")], "status": [(b":status", b"200")]} | {
    f"field: {name}": [field] for name, field in BAD_FIELDS.items()
}
