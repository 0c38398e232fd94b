"""Versions of the service with a table of its own, `notes`, whose column `text` becomes `body`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .service import Service

CODE = """\
from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import Identity
from sqlalchemy import String
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

import msgspec

from app.database import Database
from app.database import Statement
from app.database.base import Base
from app.http.responses import JSONBytes
from app.pattern import Pattern
from app.service import Service


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
{columns}


WRITTEN = {written}
SHOWN = {shown}
BY_ID = Statement(
    "note_by_id",
    select(Note.id, Note.title, SHOWN.label("text")).where(Note.id == bindparam("note_id")),
)
CREATE = Statement(
    "note_create",
    insert(Note).values({{c: bindparam(c) for c in ("title", *WRITTEN)}}).returning(Note.id),
)


class Given(BaseModel):
    text: str


def add_routes(api: APIRouter, service: Service) -> None:
    database = service.get(Database)

    @api.get("/notes/{{note_id}}")
    async def by_statement(note_id: int) -> Response:
        row = await database.fetch_one(BY_ID, note_id=note_id)
        return JSONBytes(msgspec.json.encode(dict(row)))

    @api.get("/notes/{{note_id}}/session")
    async def by_session(note_id: int) -> Response:
        async with database.session() as session:
            note = await session.get(Note, note_id)
            text = await session.scalar(select(SHOWN).where(Note.id == note_id))
        return JSONBytes(msgspec.json.encode({{"id": note.id, "title": note.title, "text": text}}))

    @api.post("/notes")
    async def create(given: Given) -> Response:
        values = {{"title": "a note", **dict.fromkeys(WRITTEN, given.text)}}
        row = await database.fetch_one(CREATE, **values)
        return JSONBytes(b'{{"id":%d}}' % row["id"], 201)

    @api.patch("/notes/{{note_id}}")
    async def change(note_id: int, given: Given) -> Response:
        async with database.session() as session:
            note = await session.get(Note, note_id, with_for_update=True)
            for column in WRITTEN:
                setattr(note, column, given.text)
        return JSONBytes(b'{{"id":%d}}' % note_id)


pattern = Pattern(name="notes", routes=add_routes)
"""
SHORT = "    title: Mapped[str] = mapped_column(String(20))\n"
LONG = "    title: Mapped[str] = mapped_column(Text)\n"
OLD = "    text: Mapped[str] = mapped_column(Text)"
NEW = "    body: Mapped[str] = mapped_column(Text)"
MAYBE = "    body: Mapped[str | None] = mapped_column(Text)"

BEFORE = CODE.format(columns=SHORT + OLD, written='("text",)', shown="Note.text")
# Expand: the new column may be empty. Both are written; the new one is read if it is there.
EXPANDED = CODE.format(
    columns=f"{LONG}{OLD}\n{MAYBE}",
    written='("text", "body")',
    shown="func.coalesce(Note.body, Note.text)",
)
# Migrate: nobody asks for the old one any more. Contract: it is gone; no code changes.
MIGRATED = CODE.format(columns=LONG + NEW, written='("body",)', shown="Note.body")

# What the recipe in app/database/README.md says, for the revisions that are written by hand.
BACKFILL = """\
    some = sa.text(
        "UPDATE notes SET body = text WHERE id IN"
        " (SELECT id FROM notes WHERE body IS NULL LIMIT 1000)"
    )
    with op.get_context().autocommit_block():  # each batch a transaction of its own
        while op.get_bind().execute(some).rowcount:
            pass
    op.alter_column("notes", "text", nullable=True)
    op.execute("ALTER TABLE notes ADD CONSTRAINT body_there CHECK (body IS NOT NULL) NOT VALID")
"""
NOT_NULL = """\
    op.execute("ALTER TABLE notes VALIDATE CONSTRAINT body_there")
    op.alter_column("notes", "body", nullable=False)
    op.drop_constraint("body_there", "notes")
"""


class Release:
    """A version of the service in a folder of its own."""

    def __init__(self, before: Service, folder: Path, code: str) -> None:
        """The service `before`, with this code for notes."""
        ignored = shutil.ignore_patterns(".venv", "__pycache__")
        shutil.copytree(before.folder, folder, ignore=ignored)
        self.service = before.at(folder)
        (folder / "app/notes").mkdir(exist_ok=True)
        (folder / "app/notes/__init__.py").write_text(code)
        patterns = folder / "app/patterns.py"
        if "import notes" not in (text := patterns.read_text()):
            text = text.replace("PATTERNS = [", "from app import notes\n\nPATTERNS = [", 1)
            patterns.write_text(f"{text}\nPATTERNS.append(notes.pattern)\n")

    def revise(self, message: str, upgrade: str = "") -> str:
        """Write a revision: from the difference between models and database, or by hand; its text."""
        by_hand = ["--empty"] if upgrade else []
        path = Path(self.service.run("revision", "-m", message, *by_hand).strip())
        text = path.read_text()
        if upgrade:
            head, _, tail = text.partition('    """Make the change."""\n')
            body = re.sub(r"^    pass\n", "", tail, count=1)
            text = f'{head}    """Make the change."""\n{upgrade}{body}'
            path.write_text(text)
        return text

    def migrate(self) -> str:
        """Bring the database to this version; what the command logs."""
        return self.service.run("migrate")
