"""A journal of the other colour is refused when write-behind is built."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell import AsyncCache, Cache, ConfigurationError
from tests.testing._async.own_journal import OwnJournal as AsyncOwnJournal
from tests.testing._sync.own_journal import OwnJournal


class Rows:
    def load(self, id: int) -> None: ...

    def save(self, id: int, value: str) -> None: ...


class PlainAlike(AsyncOwnJournal):
    """Async, with the method that closes plain ones."""

    close = AsyncOwnJournal.aclose


class AsyncAlike(OwnJournal):
    aclose = OwnJournal.close


@pytest.mark.parametrize(
    ("cache", "journal"),
    [(Cache, PlainAlike), (AsyncCache, AsyncAlike)],
    ids=["async for Cache", "plain for AsyncCache"],
)
def test_a_journal_of_the_other_colour_is_refused(cache: Any, journal: Any) -> None:
    with pytest.raises(ConfigurationError, match="is of the other colour"):
        cache().write_behind(Rows(), key="name:{}", journal=journal())
