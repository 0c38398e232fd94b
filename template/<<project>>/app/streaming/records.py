"""CSV (RFC 4180) cut into records, from parts that end anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A longer record is refused: a quote that is never closed would make the whole file one record.
MOST_BYTES = 65_536

# A line that ends within a quoted field: whole fields, then one that is not closed. A quote opens a
# field only as its first character. `*+` never goes back, so no input takes more than one pass.
_QUOTED = rb'"[^"]*+(?:""[^"]*+)*+'
_ENDS_WITHIN = re.compile(rb"(?:(?:" + _QUOTED + rb'"[^,]*+|[^",][^,]*+|),)*+' + _QUOTED).fullmatch


class Unreadable(Exception):
    """From this line on the file makes no sense, so that nothing of it can be used."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


class Records:
    """Cuts bytes into records, each with the number of the line on which it begins.

    It works on bytes: no other character of UTF-8 has those of a quote, a comma or a line end in
    it, so a character that is cut in two is whole again with its record.
    """

    def __init__(self) -> None:
        self._line = 0  # the number of the last whole line
        self._rest = b""  # of a line whose end has not come
        self._lines: list[bytes] = []  # of a record whose quoted field is not closed
        self._size = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The records that end in this part; Unreadable when one is too long."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            yield from self._add(line)
        self._check(self._size + len(self._rest), 1)

    def end(self) -> Iterator[tuple[int, bytes]]:
        """The last record, if its line has no end; Unreadable when a quote is not closed."""
        if self._rest:
            yield from self._add(self._rest)
        if self._lines:
            raise Unreadable(self._begin, "A quote is opened and never closed.")

    def _add(self, line: bytes) -> Iterator[tuple[int, bytes]]:
        self._line += 1
        if self._lines:
            self._lines.append(line)
            self._check(self._size + len(line))
            self._size += len(line) + 1
            if b'"' in line and not _ENDS_WITHIN(b'"' + line):
                record, begin = b"\n".join(self._lines), self._begin
                self._lines, self._size = [], 0
                yield begin, record
        elif b'"' in line and _ENDS_WITHIN(line):
            self._check(len(line))
            self._lines, self._size = [line], len(line) + 1
        else:
            self._check(len(line))
            yield self._line, line

    @property
    def _begin(self) -> int:
        """The line on which a record begins that has not ended."""
        return self._line - len(self._lines) + 1

    def _check(self, size: int, ahead: int = 0) -> None:
        """Refuse a record of this size; one that is not open begins `ahead` of the last line."""
        if size > MOST_BYTES:
            line = self._begin if self._lines else self._line + ahead
            raise Unreadable(line, f"A row has over {MOST_BYTES} bytes; is a quote left open?")
