"""Sections on their way out: brought into form, checked, and protected, before anything of the connection changes."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import LocalProtocolError
from ...models import HeadersType, HeaderType
from .._fields import MalformedSectionError, SectionFacts, facts_unchecked, normalize, protect_secrets
from ._settings import HTTP2Settings

__all__ = ["prepare_section"]


def prepare_section(
    headers: HeadersType, settings: HTTP2Settings, check: Callable[[list[HeaderType]], SectionFacts | None]
) -> tuple[list[HeaderType], SectionFacts]:
    """Return a section as it is to be sent, and what was found in it.

    Args:
        headers: the section, as the caller gave it.
        settings: what to do with it.
        check: checks a section of its kind.

    Raises:
        LocalProtocolError: it must not be sent.
    """
    for field in headers:
        if not isinstance(field[0], bytes) or not isinstance(field[1], bytes):
            raise LocalProtocolError(f"names and values of fields are bytes, got {field!r}")
    if settings.normalize_outbound_headers:
        fields = normalize(headers, split_cookies=settings.split_outbound_cookies)
    else:
        fields = list(headers)
    if not settings.validate_outbound_headers:
        return protect_secrets(fields, settings.never_indexed), facts_unchecked(fields)
    try:
        facts = check(fields)
    except MalformedSectionError as exc:
        raise LocalProtocolError(str(exc)) from exc
    return protect_secrets(fields, settings.never_indexed), facts or SectionFacts()
