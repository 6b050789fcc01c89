"""Who waits for a key to change: woken by the feed's notices, with polling as the net."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Iterable, Sequence
from threading import Lock

from freshwell._kit.threads import Signal

__all__ = ["Watch"]


class Watch:
    """Signals by key. Bounded by what waits: a flight's leader, one per key and process."""

    def __init__(self) -> None:
        self._mutex = Lock()
        self._signals: dict[str, list[Signal]] = {}

    def expect(self, keys: Sequence[str]) -> Signal:
        """Return a signal that a notice of any of `keys` sets, until `dismiss`."""
        signal = Signal()
        with self._mutex:
            for key in keys:
                self._signals.setdefault(key, []).append(signal)
        return signal

    def dismiss(self, keys: Sequence[str], signal: Signal) -> None:
        """Forget a signal that `expect` returned for the same keys."""
        with self._mutex:
            for key in keys:
                signals = self._signals.get(key, [])
                if signal in signals:
                    signals.remove(signal)
                if not signals:
                    self._signals.pop(key, None)

    def notify(self, keys: Iterable[str]) -> None:
        """Wake those who wait for any of `keys`."""
        if not self._signals:
            return
        with self._mutex:
            for key in keys:
                for signal in self._signals.get(key, ()):
                    signal.notify()

    def notify_all(self) -> None:
        """Wake everyone: whatever they wait for may have changed."""
        with self._mutex:
            for signals in self._signals.values():
                for signal in signals:
                    signal.notify()
