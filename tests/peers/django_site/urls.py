"""What the site answers: views under every kind of guard, the package's own endpoints, and the way in for tests."""

from __future__ import annotations

import control
import views
from django.urls import path, re_path
from linked_services.rest_framework.views import app_webhook, authorize_view

urlpatterns = [
    *(path(f"posts/{name}", view) for name, view in views.GUARDED.items()),
    re_path(r"^v1/auth/app/user/?$", views.Users.as_view()),
    path("v1/auth/app/user/<int:user_id>", views.Users.as_view()),
    path("v1/auth/app/webhook", app_webhook),
    path("v1/auth/authorize/<str:app_slug>", authorize_view()),
    path("control/<str:deed>", control.entrance),
]
