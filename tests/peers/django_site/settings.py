"""A small Django site for `linked_services` alone. `academy.py` says where it lives and what it is called."""

from __future__ import annotations

import os
from pathlib import Path

import celery
from linked_services.core.settings import set_settings

FOLDER = Path(os.environ["SITE_FOLDER"])

SECRET_KEY = os.environ["SITE_SECRET"]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "urls"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "site.sqlite3",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL",
        },
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "task_manager",
    "linked_services",
]
MIDDLEWARE = [
    "linked_services.django.middlewares.linked_services_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nobody's password is of interest here
REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}

# The package queues tasks: that an old key goes after two minutes, that a credential is to be checked. There is no
# worker, as on a site whose worker is behind; `control.py` runs those that a test wants.
celery.Celery("site", broker="memory://").set_default()

set_settings(app_name=os.environ["SITE_NAME"])
