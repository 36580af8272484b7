"""Views under the package's guards, in every shape it knows; they answer what the guard gave them."""

from __future__ import annotations

from typing import Any

from adrf.decorators import api_view as async_api_view
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from linked_services.django.models import App
from linked_services.rest_framework.decorators import ascope, scope
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
SCOPES = ["read:posts"]


def _person(user: User | None) -> dict[str, Any] | None:
    if user is None:
        return None
    fields = ("id", "username", "email", "first_name", "last_name")
    return {field: getattr(user, field) for field in fields}


def _told(request: Any, app: Any, token: Any, user: User | None) -> dict[str, Any]:
    """What a guarded view knows. Under a signature the package gives no token and no way to the person."""
    return {
        "app": App.objects.filter(id=app.id).values_list("slug", flat=True).first(),
        "sub": token and token["sub"],
        "user": _person(user),
        "given": sorted(app),
        "params": dict(request.GET),
        "data": request.data,
    }


def _answer(request: Any, app: Any, token: Any = None) -> Response:
    asked = "get_user" in request.GET
    return Response(_told(request, app, token, request.get_user() if asked else None))


@sync_to_async
def _answer_in_thread(request: Any, app: Any, token: Any = None) -> Response:
    # `aget_user` is bound to the sync function (mistake 57), so it cannot be awaited.
    asked = "get_user" in request.GET
    return Response(_told(request, app, token, request.aget_user() if asked else None))


def _function(scopes: list[str], mode: str | None) -> Any:
    @api_view(METHODS)
    @permission_classes([AllowAny])
    @scope(scopes, mode=mode)
    def view(request: Any, app: Any, token: Any = None) -> Response:
        return _answer(request, app, token)

    return view


def _async(scopes: list[str], mode: str | None) -> Any:
    @async_api_view(METHODS)
    @permission_classes([AllowAny])
    @ascope(scopes, mode=mode)
    async def view(request: Any, app: Any, token: Any = None) -> Response:
        return await _answer_in_thread(request, app, token)

    return view


class _Posts(APIView):
    permission_classes = (AllowAny,)

    @scope(SCOPES)
    def get(self, request: Any, app: Any, token: Any = None) -> Response:
        return _answer(request, app, token)

    post = put = patch = delete = get


#: By the last part of their path.
GUARDED = {
    "function": _function(SCOPES, None),
    "class": _Posts.as_view(),
    "async": _async(SCOPES, None),
    "jwt": _function(SCOPES, "jwt"),
    "signature": _function(SCOPES, "signature"),
    "async-signature": _async(SCOPES, "signature"),
    "other": _function(["write:posts"], None),
    "no-scope": _function([], None),
}


class Users(APIView):
    """The people of this site, as a pair may read them: the list with its filters, or one."""

    permission_classes = (AllowAny,)

    @scope(["read:user"])
    def get(self, request: Any, app: Any, token: Any = None, user_id: int | None = None) -> Response:
        sub = token and token["sub"]
        people = User.objects.order_by("id")
        if sub is not None:
            people = people.filter(id=sub)
        if user_id is not None:
            if sub not in {None, user_id}:
                return Response({"detail": "user-with-no-access"}, status=403)
            person = people.filter(id=user_id).first()
            return Response(_person(person)) if person else Response({"detail": "user-not-found"}, status=404)
        filters = {name: request.GET[name] for name in ("id", "email", "username") if name in request.GET}
        return Response([_person(each) for each in people.filter(**filters)])
