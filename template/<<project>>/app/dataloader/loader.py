"""A loader: lookups that are asked for one by one are fetched together, each key once.

The idea is Facebook's DataLoader (https://github.com/graphql/dataloader): what is asked for within
one turn of the event loop is one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping

from prometheus_client import Histogram

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
KEYS = Histogram(
    "dataloader_batch_keys", "Keys that were looked up by one query", ["loader"], buckets=SIZES
)

type Fetch[K, V] = Callable[[list[K]], Awaitable[Mapping[K, V]]]


class _Batch[K, V]:
    """Keys that are fetched together, and how many callers wait for them."""

    def __init__(self) -> None:
        self.keys: dict[K, None] = {}  # each once, in the order in which they came
        self.waiting = 0
        self.task: asyncio.Task[Mapping[K, V]]


class Loader[K, V]:
    """Belongs to one request, and remembers what it has found until that ends.

    An error of a batch is raised to each of its callers and not remembered. A caller who is
    cancelled takes nothing from the others; when all of them are, so is the query.
    """

    def __init__(self, name: str, fetch: Fetch[K, V], max_batch: int) -> None:
        """`fetch` is given different keys, at most `max_batch`, and returns what there is of them.
        `name` is the label of the metrics, a constant.
        """
        self._fetch = fetch
        self._max_batch = max_batch
        self._sizes = KEYS.labels(name)
        self._batches: dict[K, _Batch[K, V]] = {}
        self._open: _Batch[K, V] | None = None  # takes more keys, until it is fetched
        self._fetching = asyncio.Lock()  # one query at a time

    async def load(self, key: K) -> V | None:
        """The value of a key, or None if there is none."""
        [value] = await self.load_many((key,))
        return value

    async def load_many(self, keys: Iterable[K]) -> list[V | None]:
        """The values of these keys in their order, None where there is none."""
        wanted = [(key, self._batch_of(key)) for key in keys]
        running = [b for b in dict.fromkeys(batch for _, batch in wanted) if not b.task.done()]
        for batch in running:
            batch.waiting += 1
        try:
            for batch in running:
                await asyncio.shield(batch.task)
        finally:
            for batch in running:
                self._leave(batch)
        return [batch.task.result().get(key) for key, batch in wanted]

    def clear(self, *keys: K) -> None:
        """Forget what was found for these keys, after the request has changed them."""
        for key in keys:
            self._batches.pop(key, None)

    def _batch_of(self, key: K) -> _Batch[K, V]:
        batch = self._batches.get(key)
        if batch is None:
            batch = self._open
            if batch is None or len(batch.keys) == self._max_batch:
                batch = self._open = _Batch()
                batch.task = asyncio.create_task(self._run(batch))
                batch.task.add_done_callback(_retrieve)
            batch.keys[key] = None
            self._batches[key] = batch
        return batch

    async def _run(self, batch: _Batch[K, V]) -> Mapping[K, V]:
        """Begins after every task that is ready has had its turn, and added its keys."""
        async with self._fetching:
            if self._open is batch:
                self._open = None
            self._sizes.observe(len(batch.keys))
            try:
                return await self._fetch([*batch.keys])
            except BaseException:
                self._drop(batch)
                raise

    def _leave(self, batch: _Batch[K, V]) -> None:
        """One caller less waits; the last one ends what nobody waits for any more."""
        batch.waiting -= 1
        if not (batch.waiting or batch.task.done()):
            self._drop(batch)
            batch.task.cancel()

    def _drop(self, batch: _Batch[K, V]) -> None:
        """Whoever asks from now on does so anew."""
        if self._open is batch:
            self._open = None
        for key in batch.keys:
            if self._batches.get(key) is batch:
                del self._batches[key]


def _retrieve(task: asyncio.Task[object]) -> None:
    """An error that nobody is left to hear of is not one of the event loop's."""
    if not task.cancelled():
        task.exception()
