"""What is called in the place of a connection that is over: whoever refers to that alone keeps nothing alive."""

from __future__ import annotations

__all__ = ["tell_nobody"]


def tell_nobody(*_: object) -> None:
    """Do nothing."""
