"""What is counted of files. Labels: `direction` is export or import, `outcome` see below."""

from prometheus_client import Counter
from prometheus_client import Gauge

ROWS = Counter("streaming_rows", "Rows exported, or imported and committed", ["direction"])
BYTES = Counter("streaming_bytes", "Bytes of CSV, before or after gzip", ["direction"])
BAD_ROWS = Counter("streaming_bad_rows", "Rows that could not be imported")
ACTIVE = Gauge("streaming_active_streams", "Files that are on their way now", ["direction"])
STREAMS = Counter(
    "streaming_streams",
    "Files by what became of them: done, failed (for whatever reason), busy (there were too many)",
    ["direction", "outcome"],
)
