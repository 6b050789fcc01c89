"""Ring 3: what differs between asyncio and threads, written twice by hand.

``aio`` and ``threads`` (and the ``*_link`` and ``*_feed`` pairs beside them) have the same
names, signatures and semantics; ring 4 is written against the first and generated against
the second. A difference between the colours belongs here, never into a branch above.
"""

from __future__ import annotations
