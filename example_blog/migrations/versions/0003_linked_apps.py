"""Linked apps

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-23 17:30:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "linked_app",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("slug", sa.String(length=50), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("address", sa.String(length=2000), nullable=True),
        sa.Column("users_path", sa.String(length=500), nullable=False),
        sa.Column("webhook_url", sa.String(length=2000), nullable=True),
        sa.Column("redirect_url", sa.String(length=2000), nullable=True),
        sa.Column("dialect", sa.String(length=20), nullable=False),
        sa.Column("accepts", sa.String(length=100), nullable=False),
        sa.Column("needs_agreement", sa.Boolean(), nullable=False),
        sa.Column("ceiling", sa.Text(), nullable=True),
        sa.Column("agreement_version", sa.Integer(), nullable=False),
        sa.Column("joins_by_email", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linked_app")),
        sa.UniqueConstraint("slug", name=op.f("uq_linked_app_slug")),
    )
    op.create_table(
        "app_key",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("use", sa.String(length=20), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("active_from", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("app_id", sa.String(length=32), nullable=False),
        _of_app("app_key"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_key")),
    )
    op.create_index(op.f("ix_app_key_app_id"), "app_key", ["app_id"])

    op.create_table(
        "scope",
        sa.Column("slug", sa.String(length=15), nullable=False),
        sa.Column("name", sa.String(length=25), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("apps_only", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_scope")),
        sa.UniqueConstraint("name", name=op.f("uq_scope_name")),
    )
    op.create_table(
        "app_scope",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=15), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("app_id", sa.String(length=32), nullable=False),
        _of_app("app_scope"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_scope")),
        sa.UniqueConstraint("app_id", "scope", name=op.f("uq_app_scope_app_id")),
    )
    op.create_index(op.f("ix_app_scope_scope"), "app_scope", ["scope"])

    op.create_table(
        "agreement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("agreed_at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("app_id", sa.String(length=32), nullable=False),
        _of_app("agreement"),
        _of_user("agreement"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
        sa.UniqueConstraint("app_id", "user_id", name=op.f("uq_agreement_app_id")),
    )
    op.create_index(op.f("ix_agreement_user_id"), "agreement", ["user_id"])

    op.create_table(
        "linked_person",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("app_id", sa.String(length=32), nullable=False),
        _of_app("linked_person"),
        _of_user("linked_person"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_linked_person")),
        sa.UniqueConstraint("app_id", "external_id", name=op.f("uq_linked_person_app_id")),
        sa.UniqueConstraint("user_id", "app_id", name=op.f("uq_linked_person_user_id")),
    )
    op.create_index(op.f("ix_linked_person_user_id"), "linked_person", ["user_id"])

    op.create_table(
        "one_time_token",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("app_id", sa.String(length=32), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        _of_user("one_time_token"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_token")),
    )
    op.create_index(op.f("ix_one_time_token_expires_at"), "one_time_token", ["expires_at"])
    op.create_index(op.f("ix_one_time_token_user_id"), "one_time_token", ["user_id"])

    op.create_table(
        "pairing_code",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pairing_code")),
    )
    op.create_index(op.f("ix_pairing_code_expires_at"), "pairing_code", ["expires_at"])

    op.create_table(
        "used_nonce",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_used_nonce")),
    )
    op.create_index(op.f("ix_used_nonce_expires_at"), "used_nonce", ["expires_at"])


def _of_app(table):
    name = op.f(f"fk_{table}_app_id_linked_app")
    return sa.ForeignKeyConstraint(["app_id"], ["linked_app.id"], name=name, ondelete="CASCADE")


def _of_user(table):
    name = op.f(f"fk_{table}_user_id_users")
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=name, ondelete="CASCADE")


def downgrade():
    op.drop_table("used_nonce")
    op.drop_table("pairing_code")
    op.drop_table("one_time_token")
    op.drop_table("linked_person")
    op.drop_table("agreement")
    op.drop_table("app_scope")
    op.drop_table("scope")
    op.drop_table("app_key")
    op.drop_table("linked_app")
