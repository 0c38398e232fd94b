"""Users and items."""

import sqlalchemy as sa
from alembic import op

revision = "example_0001"
down_revision = None
branch_labels = ("example",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("status", sa.Text, server_default="active", nullable=False),
        sa.Column("tier", sa.Text, server_default="standard", nullable=False),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "items",
        sa.Column("id", sa.Integer, sa.Identity(always=False), nullable=False),
        sa.Column("owner_id", sa.Integer, nullable=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("price", sa.Double, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_items"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_items_owner_id_users"),
    )
    op.create_index("ix_items_owner_id", "items", ["owner_id"])
    op.create_index(
        "ix_items_created_at_id", "items", [sa.text("created_at DESC"), sa.text("id DESC")]
    )


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("items")
    op.drop_table("users")
