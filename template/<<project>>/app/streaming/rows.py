"""The rows of a CSV file, each checked by its model; what is wrong is told by line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic import ValidationError

from app.streaming.cells import unprotected
from app.streaming.metrics import BAD_ROWS
from app.streaming.records import Records
from app.streaming.records import Unreadable

# Bad rows that are told; all are counted.
MOST_TOLD = 100
# More lines without anything, and the file is refused: in gzip they cost who sends them nothing.
MOST_BLANK = 100_000

_BOM = b"\xef\xbb\xbf"


class BadRows:
    """The rows that could not be used."""

    def __init__(self) -> None:
        self.count = 0
        self.told: list[dict[str, int | str]] = []

    def add(self, line: int, problem: str) -> None:
        """Note one; `problem` must not repeat what the row says, which may be a secret."""
        BAD_ROWS.inc()
        self.count += 1
        if not self.full:
            self.told.append({"line": line, "problem": problem})

    @property
    def full(self) -> bool:
        """Whether no more are told."""
        return len(self.told) == MOST_TOLD


class Rows[M: BaseModel]:
    """Turns bytes of CSV into checked rows.

    The first row names the columns, in any order: fields of the model, and all that it requires.
    Blank lines are passed over, a BOM and CRLF are taken as they come.

    model:   of plain fields
    bad:     is told of the rows that are left out
    ignored: columns that may be there and are not read
    """

    def __init__(self, model: type[M], bad: BadRows, ignored: Collection[str] = ()) -> None:
        self._model = model
        self._bad = bad
        self._ignored = ignored
        self._records = Records()
        self._blank = 0
        self._columns: list[str] | None = None
        self._unread: list[str] = []  # of the columns
        self._next: list[str] = []  # what the reader reads, one record at a time
        self._reader = csv.reader(iter(self._next.pop, None), strict=True)

    def feed(self, data: bytes) -> list[tuple[int, M]]:
        """The rows that end in this part, with their lines; Unreadable when there can be none."""
        return list(self._rows(self._records.feed(data)))

    def end(self) -> list[tuple[int, M]]:
        """The last row, if it has no line end."""
        rows = list(self._rows(self._records.end()))
        if self._columns is None:
            raise Unreadable(1, "The first row must name the columns.")
        return rows

    def _rows(self, records: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, M]]:
        for line, record in records:
            try:
                if not record.strip(b"\r"):
                    self._pass_over(line)
                elif self._columns is None:
                    self._columns = self._header(line, record)
                else:
                    yield line, self._checked(self._columns, self._fields(record))
            except ValidationError as error:
                self._bad.add(line, _said(error))
            except ValueError as error:
                self._bad.add(line, str(error))

    def _pass_over(self, line: int) -> None:
        self._blank += 1
        if self._blank > MOST_BLANK:
            raise Unreadable(line, f"Over {MOST_BLANK} lines are blank.")

    def _fields(self, record: bytes) -> list[str]:
        """The cells of a record; ValueError, in a sentence, when it is not CSV, or has what
        PostgreSQL's text cannot hold."""
        if b"\0" in record:
            raise ValueError("It has the character NUL.")
        try:
            self._next.append(record.decode())
            return next(self._reader)
        except UnicodeDecodeError:
            raise ValueError("It is not UTF-8.") from None
        except csv.Error as error:
            raise ValueError(f"It is not CSV: {str(error).partition(' - ')[0]}.") from None

    def _checked(self, columns: list[str], fields: list[str]) -> M:
        if len(fields) != len(columns):
            raise ValueError(f"It has {len(fields)} cells, not {len(columns)}.")
        row = dict(zip(columns, map(unprotected, fields), strict=True))
        for name in self._unread:
            del row[name]
        return self._model.model_validate_strings(row)

    def _header(self, line: int, record: bytes) -> list[str] | None:
        """The columns; None when there is nothing but a BOM."""
        try:
            names = [name.strip() for name in self._fields(record.removeprefix(_BOM))]
        except ValueError as error:
            raise Unreadable(line, f"The names of the columns cannot be read. {error}") from None
        fields, times = self._model.model_fields, Counter(names)
        self._unread = [name for name in self._ignored if name in times]
        for said, wrong in {
            "Unknown": [n for n in names if n not in fields and n not in self._ignored],
            "Missing": [n for n, f in fields.items() if f.is_required() and n not in times],
            "Repeated": sorted(name for name, count in times.items() if count > 1),
        }.items():
            if names and wrong:
                shown = ", ".join(name[:64] for name in wrong[:8])
                raise Unreadable(line, f"{said} columns: {shown}. Known are {', '.join(fields)}.")
        return names or None


def _said(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in found[:4])
