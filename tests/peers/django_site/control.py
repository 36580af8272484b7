"""What tests tell the site to do: rows, keys and agreements to have, and calls to make with the package's `Service`.

`POST /control/<deed>` with a JSON object, which are the deed's arguments, answers what it returns. The tests' secret
must be there: a page in a browser on the same machine could send such a request too.
"""

from __future__ import annotations

import inspect
import io
import json
import os
from collections.abc import Callable
from typing import Any

import celery
from asgiref.sync import sync_to_async
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from linked_services.django import actions, tasks
from linked_services.django.models import (
    App,
    AppOptionalScope,
    AppRequiredScope,
    AppUserAgreement,
    FirstPartyCredentials,
    FirstPartyWebhookLog,
    LegacyKey,
    OptionalScopeSet,
    Scope,
)
from linked_services.django.service import Service

Json = dict[str, Any]


@csrf_exempt
async def entrance(request: HttpRequest, deed: str) -> JsonResponse:
    if request.headers.get("X-Control") != os.environ["SITE_CONTROL"]:
        return JsonResponse({"detail": "not for you"}, status=403)
    given = json.loads(request.body)
    found = DEEDS[deed]
    done = await found(**given) if inspect.iscoroutinefunction(found) else await sync_to_async(found)(**given)
    return JsonResponse({"done": done})


def app(
    slug: str, *, required: list[str] | None = None, optional: list[str] | None = None, **values: Any
) -> Json:
    """Make an app, or change one; scopes that are given become the only ones. Keys left out are made."""
    row = App.objects.filter(slug=slug).first() or App(slug=slug, name=slug, description=f"The app {slug}")
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    for through, slugs in ((AppRequiredScope, required), (AppOptionalScope, optional)):
        if slugs is not None:
            _set_scopes(row, through, slugs)
    # The package forgets what it has remembered of an app when its row is saved, but not when only scopes change.
    row.refresh_from_db()
    row.save()
    return _shown(row)


def _shown(row: App) -> Json:
    return {
        "id": row.id,
        "slug": row.slug,
        "private_key": row.private_key,
        "public_key": row.public_key or "",
        "agreement_version": row.agreement_version,
        "old_key": LegacyKey.objects.filter(app=row).exists(),
    }


def _set_scopes(row: App, through: Any, slugs: list[str]) -> None:
    for each in through.objects.filter(app=row).exclude(scope__slug__in=slugs):
        each.delete()
    for slug in slugs:
        scope, _ = Scope.objects.get_or_create(
            slug=slug, defaults={"name": slug, "description": f"May {slug}"}
        )
        if not through.objects.filter(app=row, scope=scope).exists():
            through.objects.create(app=row, scope=scope)


def forget_old_key(slug: str) -> Json:
    """What the package's task does two minutes after a rotation."""
    LegacyKey.objects.get(app__slug=slug).delete()
    return _shown(App.objects.get(slug=slug))


def remove_app(slug: str) -> None:
    App.objects.get(slug=slug).delete()


def user(username: str, *, credentials: Json | None = None, **values: Any) -> Json:
    """Make a person; `credentials` are the ids that other services know them by."""
    row = User.objects.create(username=username, **{"email": f"{username}@example.com", **values})
    if credentials:
        FirstPartyCredentials.objects.create(user=row, app=credentials)
    return {"id": row.id}


def people(**filters: Any) -> list[Json]:
    """The people there are, and who they are elsewhere."""
    found = []
    for row in User.objects.filter(**filters).order_by("id"):
        credentials = FirstPartyCredentials.objects.filter(user=row).first()
        found.append(
            {
                "id": row.id,
                "username": row.username,
                "email": row.email,
                "first_name": row.first_name,
                "last_name": row.last_name,
                "is_superuser": row.is_superuser,
                "credentials": credentials.app if credentials else {},
                "health": credentials.health_status if credentials else {},
            }
        )
    return found


def agreement(slug: str, user: int, *, optional: list[str]) -> Json:
    """A person has agreed to an app as it is now, with these of its optional scopes."""
    chosen = OptionalScopeSet()
    chosen.save()
    chosen.optional_scopes.set(Scope.objects.filter(slug__in=optional))
    row = App.objects.get(slug=slug)
    AppUserAgreement.objects.filter(app=row, user_id=user).delete()
    made = AppUserAgreement.objects.create(
        app=row,
        user_id=user,
        optional_scope_set=chosen,
        agreement_version=row.agreement_version,
        agreed_at=timezone.now(),
    )
    actions.reset_app_user_cache()
    return {"agreement_version": made.agreement_version}


def agreements(slug: str) -> list[Json]:
    return [
        {
            "user": row.user_id,
            "agreement_version": row.agreement_version,
            "optional": sorted(row.optional_scope_set.optional_scopes.values_list("slug", flat=True)),
        }
        for row in AppUserAgreement.objects.filter(app__slug=slug).order_by("id")
    ]


def session(user: int) -> Json:
    """A person's login at a browser: the cookie of it."""
    row, store = User.objects.get(id=user), SessionStore()
    store[SESSION_KEY] = str(row.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = row.get_session_auth_hash()
    store.create()
    return {"sessionid": store.session_key}


async def call(slug: str, method: str, path: str, *, how: str = "sync", **options: Any) -> Json:
    """Call the app with the package's own client, as a view of this site would; what came back, or what went wrong.

    `how` is sync or async; `user`, `mode` and `proxy` are the client's, all else goes with the call.
    """
    try:
        if how == "async":
            return await _call_async(slug, method, path, options)
        return await sync_to_async(_call)(slug, method, path, options)
    except Exception as error:  # noqa: BLE001 - told to the test
        return {"error": f"{type(error).__name__}: {error}"}


def _client(slug: str, options: Json) -> Service:
    return Service(
        slug, options.pop("user", None), mode=options.pop("mode", None), proxy=options.pop("proxy", False)
    )


def _call(slug: str, method: str, path: str, options: Json) -> Json:
    with _client(slug, options) as service:
        answer = getattr(service, method)(path, **options)
        body = answer.content.decode()
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": body}


async def _call_async(slug: str, method: str, path: str, options: Json) -> Json:
    async with _client(slug, options) as service:
        answer = await getattr(service, method)(path, **options)
        if service.proxy:
            return {
                "status": answer.status_code,
                "headers": dict(answer.headers),
                "body": answer.content.decode(),
            }
        return {"status": answer.status, "headers": dict(answer.headers), "body": await answer.text()}


async def send_webhook(slug: str, kind: str, **options: Any) -> Json:
    """The package's own sending of a webhook, which raises after it has been received (mistake 59)."""
    try:
        await actions.send_webhook(slug, kind, **options)
    except Exception as error:  # noqa: BLE001 - told to the test
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def webhooks(slug: str) -> list[Json]:
    """What was received from an app."""
    fields = ("type", "user_id", "external_id", "data", "status")
    return list(FirstPartyWebhookLog.objects.filter(app__slug=slug).order_by("id").values(*fields))


def check_credentials(user: int, slugs: list[str]) -> list[Json]:
    """The package's check of who a person is elsewhere, done now instead of by a worker."""
    settings = celery.current_app.conf
    settings.task_always_eager = True
    try:
        tasks.check_credentials.delay(user, slugs)
    finally:
        settings.task_always_eager = False
    return people(id=user)


def command(name: str, arguments: list[Any]) -> str:
    """What one of the package's commands prints."""
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def shell(code: str) -> None:
    """What somebody pastes into `manage.py shell`."""
    exec(code, {})


DEEDS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        app,
        forget_old_key,
        remove_app,
        user,
        people,
        agreement,
        agreements,
        session,
        call,
        send_webhook,
        webhooks,
        check_credentials,
        command,
        shell,
    )
}
