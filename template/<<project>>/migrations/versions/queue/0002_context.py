"""What is handed on with a job to whoever does it."""

import sqlalchemy as sa
from alembic import op

revision = "queue_0002"
down_revision = "queue_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: without a default, so that the table is not rewritten."""
    op.add_column("queue_jobs", sa.Column("context", sa.Text, nullable=True))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("queue_jobs", "context")
