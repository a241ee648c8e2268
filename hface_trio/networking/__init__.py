"""Trio I/O under HTTP: TCP, TLS, unix sockets, inherited sockets."""

from __future__ import annotations

from ._adapter import StreamAdapter
from ._departure import DepartureWatch
from ._interfaces import (
    Buffer,
    ByteStream,
    ByteStreamListener,
    ClientNetworking,
    ExtraAttributes,
    ServerNetworking,
    TCPClientNetworking,
    TCPServerNetworking,
)
from ._listeners import SocketListener, TLSListener
from ._socket import SocketByteStream
from ._system import SystemNetworking
from ._tls import TLSByteStream

__all__ = [
    "Buffer",
    "ByteStream",
    "ByteStreamListener",
    "ClientNetworking",
    "DepartureWatch",
    "ExtraAttributes",
    "ServerNetworking",
    "SocketByteStream",
    "SocketListener",
    "StreamAdapter",
    "SystemNetworking",
    "TCPClientNetworking",
    "TCPServerNetworking",
    "TLSByteStream",
    "TLSListener",
]
