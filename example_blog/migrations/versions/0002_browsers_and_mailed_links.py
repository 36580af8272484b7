"""Browsers and mailed links

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-23 14:20:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _login(*added):
    """The table as it was, with what is added: SQLite copies it, also where the SQL is only written down."""
    return sa.Table(
        "login",
        sa.MetaData(),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("family", sa.String(length=64), nullable=False),
        sa.Column("current", sa.String(length=64), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=True),
        sa.Column("salt", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("device", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_login_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_login"),
        sa.UniqueConstraint("family", name="uq_login_family"),
        sa.Index("ix_login_expires_at", "expires_at"),
        sa.Index("ix_login_user_id", "user_id"),
        *added,
    )


def upgrade():
    op.add_column(
        "users", sa.Column("email_verified", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    with op.batch_alter_table("login", copy_from=_login()) as login:
        login.add_column(sa.Column("cookie", sa.String(length=64), nullable=True))
        login.create_unique_constraint(op.f("uq_login_cookie"), ["cookie"])

    op.create_table(
        "one_time_link",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("bound_to", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_one_time_link_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_link")),
    )
    op.create_index(op.f("ix_one_time_link_expires_at"), "one_time_link", ["expires_at"])
    op.create_index(op.f("ix_one_time_link_user_id"), "one_time_link", ["user_id"])


def downgrade():
    op.drop_table("one_time_link")
    cookie = sa.Column("cookie", sa.String(length=64), nullable=True)
    only_once = sa.UniqueConstraint("cookie", name="uq_login_cookie")
    with op.batch_alter_table("login", copy_from=_login(cookie, only_once)) as login:
        login.drop_constraint(op.f("uq_login_cookie"), type_="unique")
        login.drop_column("cookie")
    op.drop_column("users", "email_verified")
