"""The table of items."""

from datetime import datetime

from sqlalchemy import Double
from sqlalchemy import ForeignKey
from sqlalchemy import Identity
from sqlalchemy import Index
from sqlalchemy import Text
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column
from sqlalchemy.orm import relationship

from app.database.base import Base
from app.users.models import User


class Item(Base):
    """Something a user owns."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(Identity(always=False), primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey(User.id), index=True)
    name: Mapped[str] = mapped_column(Text)
    price: Mapped[float] = mapped_column(Double)
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(
        TIMESTAMP(timezone=True, precision=6), server_default=func.now()
    )
    # Loaded with the items or not at all, `select(Item).options(joinedload(Item.owner))`: a query
    # for each item's owner would be a mistake, and raises.
    owner: Mapped[User | None] = relationship(lazy="raise_on_sql")


# The order of the pages: a page is a range of this index, however deep it lies.
Index("ix_items_created_at_id", Item.created_at.desc(), Item.id.desc())
