"""What can be set on a router."""

from __future__ import annotations

import dataclasses
import math

from ...errors import ConfigurationError

__all__ = ["QUICRouterSettings"]


@dataclasses.dataclass(frozen=True)
class QUICRouterSettings:
    """How strangers are met; the defaults suit a server exposed to the Internet. ``math.inf`` turns a limit off.

    An address, as it is counted here, is that of an IPv4 host or of an IPv6 network (/64).

    Args:
        retry: ``"always"`` has each client prove its address first, for one round trip more; ``"auto"`` only while
            there are too many half-open connections; ``"never"`` leaves it to the limits.
        retry_half_open: half-open connections from which on ``"auto"`` requires proof.
        retry_half_open_per_address: likewise for those of one address, so that who forges it shuts nobody out.
        half_open: connections in their handshakes; further ones are dropped, and clients try again.
        half_open_per_address: likewise from one address.
        connections: connections in all; further ones are dropped.
        connections_per_address: likewise from one address.
        token_seconds: for how long the token in a Retry packet is good.
        negotiations_per_second: version negotiation packets sent in a second, in all.
        negotiations_per_address: likewise to one address.
        refusals_per_second: packets sent in a second that tell a client at once that it is refused, in all.
        refusals_per_address: likewise to one address.
        resets_per_second: stateless resets sent in a second, in all, where there are tokens for them.
        resets_per_address: likewise to one address.
    """

    retry: str = "auto"
    retry_half_open: float = 100
    retry_half_open_per_address: float = 16
    half_open: float = 1000
    half_open_per_address: float = 100
    connections: float = 20_000
    connections_per_address: float = 10_000
    token_seconds: float = 15
    negotiations_per_second: float = 100
    negotiations_per_address: float = 10
    refusals_per_second: float = 100
    refusals_per_address: float = 10
    resets_per_second: float = 100
    resets_per_address: float = 10

    def __post_init__(self) -> None:
        if self.retry not in {"auto", "always", "never"}:
            raise ConfigurationError(
                f"QUICRouterSettings.retry must be 'auto', 'always' or 'never', got {self.retry!r}"
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) and (math.isnan(value) or value < 0):
                raise ConfigurationError(f"QUICRouterSettings.{field.name} must not be negative, got {value!r}")
