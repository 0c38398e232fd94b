"""Jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "queue_0001"
down_revision = None
branch_labels = ("queue",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "queue_jobs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", postgresql.JSON, nullable=False),
        sa.Column("key", sa.Text, nullable=True),
        sa.Column("priority", sa.SmallInteger, server_default="0", nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("alone", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("worker", sa.Text, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("request_id", sa.Text, nullable=True),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_queue_jobs"),
        sa.CheckConstraint(
            "state IN ('ready', 'delayed', 'running', 'failed', 'done')", name="ck_queue_jobs_state"
        ),
    )
    op.create_index(
        "ix_queue_jobs_next",
        "queue_jobs",
        [sa.text("priority DESC"), "id"],
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index("ix_queue_jobs_state_due_at", "queue_jobs", ["state", "due_at"])
    op.create_index(
        "uq_queue_jobs_kind_key",
        "queue_jobs",
        ["kind", "key"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    # Rows come and go: a table that is vacuumed late makes every look for the next job longer.
    op.execute("ALTER TABLE queue_jobs SET (autovacuum_vacuum_scale_factor = 0.02)")


def downgrade() -> None:
    """Remove the table, and every job in it."""
    op.drop_table("queue_jobs")
