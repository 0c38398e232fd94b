"""What clients may select of a table, and what one of them has selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import QueryableAttribute

from app.fields.parse import BadFields
from app.fields.parse import Tree


@dataclass(frozen=True)
class Related:
    """The row that belongs to another one: where its column `key` is `reference` of that one."""

    shape: Shape
    reference: QueryableAttribute[Any]
    key: QueryableAttribute[Any]


@dataclass(frozen=True)
class Selection:
    """Columns by name, and what is selected of related rows, each in the order of the shape: so
    that the same fields in another order are the same selection."""

    names: tuple[str, ...]
    related: tuple[tuple[str, Selection], ...] = ()


class Shape:
    """The fields that clients may name, and no others.

    OWNER = Shape(User.id, User.name)
    ITEM = Shape(Item.id, Item.name, owner=Related(OWNER, Item.owner_id, User.id))
    """

    def __init__(self, *columns: QueryableAttribute[Any], **related: Related) -> None:
        self.table = columns[0].class_
        self.columns = {column.key: column for column in columns}
        self.related = related

    def __str__(self) -> str:
        """The fields as a client may name them."""
        return ", ".join(
            [*self.columns, *(f"{name}({one.shape})" for name, one in self.related.items())]
        )

    def select(self, tree: Tree) -> Selection:
        """The selection of these names; BadFields, naming the allowed ones, when one is not."""
        if unknown := [n for n in tree if n not in self.columns and n not in self.related]:
            raise BadFields(f"there is no {unknown[0][:64]}, there are {self}")
        if wrong := [n for n in tree if n in self.columns and tree[n] is not None]:
            raise BadFields(f"{wrong[0]} has no fields of its own, there are {self}")
        return Selection(
            names=tuple(name for name in self.columns if name in tree),
            related=tuple(
                (name, one.shape.part(tree[name]))
                for name, one in self.related.items()
                if name in tree
            ),
        )

    def part(self, tree: Tree | None) -> Selection:
        """The selection of these names, or all columns."""
        return Selection(tuple(self.columns)) if tree is None else self.select(tree)
