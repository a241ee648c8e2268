"""Trio I/O under HTTP: TCP, TLS, UDP, unix sockets, inherited sockets."""

from __future__ import annotations

from ._adapter import StreamAdapter
from ._interfaces import (
    Buffer,
    ByteStream,
    ByteStreamListener,
    ClientNetworking,
    DatagramSocket,
    DatagramStatistics,
    ExtraAttributes,
    ServerNetworking,
    TCPClientNetworking,
    TCPServerNetworking,
    UDPClientNetworking,
    UDPServerNetworking,
)
from ._listeners import SocketListener, TLSListener
from ._socket import SocketByteStream
from ._socket_watch import SocketWatch
from ._system import SystemNetworking
from ._tls import TLSByteStream
from ._udp_sender import DatagramSender, SenderStatistics
from ._udp_socket import UDPSocket

__all__ = [
    "Buffer",
    "ByteStream",
    "ByteStreamListener",
    "ClientNetworking",
    "DatagramSender",
    "DatagramSocket",
    "DatagramStatistics",
    "ExtraAttributes",
    "SenderStatistics",
    "ServerNetworking",
    "SocketByteStream",
    "SocketListener",
    "SocketWatch",
    "StreamAdapter",
    "SystemNetworking",
    "TCPClientNetworking",
    "TCPServerNetworking",
    "TLSByteStream",
    "TLSListener",
    "UDPClientNetworking",
    "UDPServerNetworking",
    "UDPSocket",
]
