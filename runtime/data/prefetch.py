"""Reading ahead: a thread of its own makes the next items while the present one is worked on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar("T")
AHEAD = 16 << 20
"""Enough for a source that now and then takes longer than a step."""
PATIENCE = 5.0
"""How many seconds to wait for an item that is being made when nobody wants it any more."""


class Prefetch(Generic[T]):
    """Iterates over `items` in a background thread, as long as at most `ahead` bytes wait to be taken; one item may
    always.

    items: closed in that thread when the reading ends, also before its end. size: the bytes of an item. An error of
    `items` is raised where its item would have come. Use it as a context: leaving it ends the thread.
    """

    def __init__(self, items: Generator[T], size: Callable[[T], int], ahead: int = AHEAD) -> None:
        self._items, self._size, self._ahead = items, size, ahead
        self._waiting: deque[T] = deque()
        self._bytes, self._done, self._closed = 0, False, False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="dslc prefetch", daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            with closing(self._items):
                for item in self._items:
                    if not self._put(item):
                        break
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        size = self._size(item)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._waiting or self._bytes + size <= self._ahead)
            if self._closed:
                return False
            self._waiting.append(item)
            self._bytes += size
            self._changed.notify_all()
            return True

    def _taken(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._done)
                if not self._waiting:
                    break
                item = self._waiting.popleft()
                self._bytes -= self._size(item)
                self._changed.notify_all()
            yield item
            del item
        if self._error is not None:
            raise self._error
