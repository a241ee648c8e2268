"""What all tests share."""

from __future__ import annotations

import importlib.util

# trio-typing's stubs may not stand beside trio's own types, so its tests have an environment of their own.
collect_ignore = [] if importlib.util.find_spec("trio_typing") else ["trio_typing"]
