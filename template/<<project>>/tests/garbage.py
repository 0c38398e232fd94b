"""What is left to the garbage collector."""

import gc
from collections.abc import Awaitable
from collections.abc import Callable


async def left_by(act: Callable[[], Awaitable[None]]) -> int:
    """How many objects only the collector can free after this; it is done once before."""
    await act()  # what is made once
    gc.collect()
    gc.disable()
    try:
        await act()
        return gc.collect()
    finally:
        gc.enable()
