"""What is counted of files. Labels: `direction` is export or import, `outcome` see below."""

from prometheus_client import Counter
from prometheus_client import Gauge

ROWS = Counter("streaming_rows", "Rows exported, or imported and committed", ["direction"])
BYTES = Counter("streaming_bytes", "Bytes of CSV, before or after gzip", ["direction"])
BAD_ROWS = Counter("streaming_bad_rows", "Rows that could not be imported")
_ACTIVE = Gauge("streaming_active_streams", "Files that are on their way now", ["direction"])
_STREAMS = Counter(
    "streaming_streams",
    "Files by what became of them: done, failed (for whatever reason), busy (there were too many)",
    ["direction", "outcome"],
)

# All that there can be, so that each begins at 0: Prometheus misses the step to a first value.
_DIRECTIONS = ("export", "import")
ACTIVE = {direction: _ACTIVE.labels(direction) for direction in _DIRECTIONS}
STREAMS = {
    (direction, outcome): _STREAMS.labels(direction, outcome)
    for direction in _DIRECTIONS
    for outcome in ("done", "failed", "busy")
}
