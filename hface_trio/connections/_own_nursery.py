"""A nursery opened in one call and closed in another, for a context manager that owns one."""

from __future__ import annotations

import trio

__all__ = ["OwnNursery"]


class OwnNursery:
    """A nursery whose tasks raise no ``Exception``, so that a block's own exception can leave the block as itself."""

    def __init__(self) -> None:
        self._manager = trio.open_nursery()
        self._nursery: trio.Nursery | None = None

    @property
    def nursery(self) -> trio.Nursery | None:
        """The nursery, while it is open."""
        return self._nursery

    async def open(self) -> trio.Nursery:
        """Open the nursery."""
        self._nursery = await self._manager.__aenter__()
        return self._nursery

    async def close(self) -> None:
        """Cancel the tasks and wait for their end; does nothing when the nursery is not open."""
        nursery, self._nursery = self._nursery, None
        if nursery is None:
            return
        nursery.cancel_scope.cancel()
        try:
            await self._manager.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            cancelled, rest = group.split(trio.Cancelled)
            if rest is not None or cancelled is None:
                raise
            raise _first_leaf(cancelled) from None


def _first_leaf(group: BaseExceptionGroup[trio.Cancelled]) -> trio.Cancelled:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first
