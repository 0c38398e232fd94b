"""Passwords of users."""

import sqlalchemy as sa
from alembic import op

revision = "sessions_0001"
down_revision = None
branch_labels = ("sessions",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "credentials",
        sa.Column("user_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column(
            "changed_at", sa.TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_credentials"),
    )


def downgrade() -> None:
    """Remove the table, and every password."""
    op.drop_table("credentials")
