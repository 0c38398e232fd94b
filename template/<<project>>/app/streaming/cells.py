"""Text that a spreadsheet would take for a formula.

Excel, LibreOffice and Sheets run what begins with one of these signs (OWASP, "CSV Injection"), and
text comes from strangers. So an export puts an apostrophe before it, which they take for "this is
text", and an import takes one away again. Text that begins with apostrophes and then such a sign
gets one more: whatever is exported is imported as it was.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnClause
from sqlalchemy import ColumnElement
from sqlalchemy import Text
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy.orm import InstrumentedAttribute

# The last four are the first four in full width.
_SIGNS = "=+@\\t\\r\\n\uff1d\uff0b\uff20\uff0d-"
_PROTECTED = re.compile(f"''*[{_SIGNS}]")
# The same for PostgreSQL: an apostrophe before what begins with some of them and a sign.
_PATTERN = literal_column(f"E'^(''*[{_SIGNS.replace('\\', '\\\\')}])'", Text)
_REPLACEMENT = literal_column(r"E'''\\1'", Text)


def protected(column: ColumnClause[str] | InstrumentedAttribute[str]) -> ColumnElement[Any]:
    """A column of text as an export has it, under its own name."""
    cells = func.regexp_replace(column, _PATTERN, _REPLACEMENT, type_=Text)
    return cells.label(column.key)


def unprotected(cell: str) -> str:
    """What a cell of an import means."""
    return cell[1:] if cell[:1] == "'" and _PROTECTED.match(cell) else cell
