"""How many examples a property test tries: a tenth of them where time matters (`make quick`)."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

__all__ = ["examples"]

_USUAL = settings.get_profile("default").max_examples

# How fast a machine is, and what else it is doing, is no matter of the code.
_ANY_SPEED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("usual", **_ANY_SPEED)
settings.register_profile("quick", max_examples=_USUAL // 10, **_ANY_SPEED)
settings.load_profile("usual")


def examples(count: int, **others: Any) -> settings:
    """Return settings for `count` examples, or for their share in the profile that is loaded."""
    return settings(max_examples=max(count * settings().max_examples // _USUAL, 1), **others)
