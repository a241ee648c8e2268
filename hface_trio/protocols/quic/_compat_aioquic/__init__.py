"""The part of ``aioquic`` that this package stands on, and every place where it steps around its public interface.

``aioquic`` does packets, encryption, handshake, loss recovery, congestion control, paths and connection ids. What is done
otherwise here, each in the module that is named for it:

- Limits (:mod:`._limits`): they move when somebody consumes, not on receipt, and only streams whose limit moved are looked at
  for a packet. The peer may open a stream more when somebody releases one, not when its state is discarded.
- Guards (:mod:`._guards`): an acknowledgement of what was never sent ends the connection: it is meant to have more sent than
  the path bears. Packets that would make the holes in reassembly buffers too large are dropped unacknowledged: the peer
  sends them again. Of a stopped stream nothing is kept. What peers do wrong is logged at the level of debugging.
- Reassembly (:mod:`._reassembly`): how much waits for octets in front of it, and for how long, is known at any time.
- Receiving (:mod:`._receiving`) and sending (:mod:`._sending`, :mod:`._packets`): in the ordinary course of a connection its
  packets are read and written without what makes all other kinds of packets possible, and streams with nothing to send cost
  nothing for a packet.
- Traces (:mod:`._traces`): they are bounded, named by what nobody else can choose, and written when the connection is over,
  however that comes.
- Memory (:mod:`._memory`): there are buffers for handshakes while something is in them. A connection that is over gives up
  all it has, and is no garbage for a collector to find.
- Time (:mod:`._timing`): when a connection has to be looked at is found once, until something changes it.
- The rest (:mod:`._machine`): connection ids and stateless reset tokens come from a source. Buffers of streams that were reset
  are freed at once, not when the peer has acknowledged the reset. What a stream may send is told, and which streams are over.
  Early calls (before the first datagram) and late ones (after the end) do nothing instead of failing.

Each private name used here has a test that fails when it changes.
"""

from __future__ import annotations

from ._guards import StreamDataSkipped
from ._machine import PeerClose, QuicMachine
from ._traces import TraceLogger

__all__ = ["PeerClose", "QuicMachine", "StreamDataSkipped", "TraceLogger"]
