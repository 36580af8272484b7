"""The blinker signals, a sentence each. The sender is always the Flask app; all are sent after the commit."""

from __future__ import annotations

from blinker import Namespace

__all__ = [
    "agreement_accepted",
    "agreement_withdrawn",
    "app_changed",
    "app_key_rotated",
    "app_paired",
    "app_registered",
    "app_removed",
    "app_scopes_changed",
    "email_changed",
    "email_verified",
    "key_rotated",
    "login_failed",
    "login_refreshed",
    "password_changed",
    "password_reset",
    "password_reset_asked",
    "person_linked",
    "person_unlinked",
    "token_reused",
    "user_changed",
    "user_deactivated",
    "user_deleted",
    "user_logged_in",
    "user_logged_out",
    "user_reactivated",
    "user_registered",
]

_namespace = Namespace()

#: A person registered or was created by an operator: `user_id`.
user_registered = _namespace.signal("user.registered")
#: A person logged in: `user_id`, `login_id`, `address`, `device`.
user_logged_in = _namespace.signal("user.logged-in")
#: A login was refused: `identifier` as it was typed, `address`. Nothing says whether that person exists.
login_failed = _namespace.signal("login.failed")
#: A login was prolonged with its refresh token: `user_id`, `login_id`.
login_refreshed = _namespace.signal("login.refreshed")
#: A login ended: `user_id`, `login_id` (None when all of them ended).
user_logged_out = _namespace.signal("user.logged-out")
#: A refresh token that was already exchanged came again and its login was ended: `user_id`, `login_id`.
token_reused = _namespace.signal("token.reused")
#: A person's password was changed: `user_id`.
password_changed = _namespace.signal("password.changed")
#: A link to reset the password was mailed to a person: `user_id`. Told where no answer waits for it.
password_reset_asked = _namespace.signal("password.reset-asked")
#: A person reset their password by a mailed link, beside `password.changed`: `user_id`.
password_reset = _namespace.signal("password.reset")
#: A person showed that the mail of their address reaches them: `user_id`.
email_verified = _namespace.signal("email.verified")
#: A person confirmed a new e-mail address, beside `user.changed`: `user_id`.
email_changed = _namespace.signal("email.changed")
#: A person's own data were changed: `user_id`, `fields` (the names of those that changed).
user_changed = _namespace.signal("user.changed")
#: A person was deactivated: `user_id`.
user_deactivated = _namespace.signal("user.deactivated")
#: A person was made active again: `user_id`.
user_reactivated = _namespace.signal("user.reactivated")
#: A person was deleted: `user_id`.
user_deleted = _namespace.signal("user.deleted")
#: A new signing key was made: `kid`, `active_from` (Unix seconds).
key_rotated = _namespace.signal("key.rotated")
#: An operator made a linked app: `app_id`, `slug`.
app_registered = _namespace.signal("app.registered")
#: An operator changed a linked app: `app_id`, `slug`, `fields` (the names of those that were given).
app_changed = _namespace.signal("app.changed")
#: A linked app has other scopes: `app_id`, `slug`, `version` (of what people agree to).
app_scopes_changed = _namespace.signal("app.scopes-changed")
#: A linked app has another key for one use: `app_id`, `slug`, `use`.
app_key_rotated = _namespace.signal("app.key-rotated")
#: Two services were linked by a pairing code: `app_id`, `slug`, `address` of the other one.
app_paired = _namespace.signal("app.paired")
#: A linked app was removed: `app_id`, `slug`.
app_removed = _namespace.signal("app.removed")
#: A person agreed to what a linked app asks for: `user_id`, `app_id`, `scopes`.
agreement_accepted = _namespace.signal("agreement.accepted")
#: A person took an agreement back, or some of it: `user_id`, `app_id`, `scopes` (those taken back).
agreement_withdrawn = _namespace.signal("agreement.withdrawn")
#: A person is known to be this one of a linked app's: `user_id`, `app_id`, `external_id`.
person_linked = _namespace.signal("person.linked")
#: A person is not taken for this one of a linked app's any more: `user_id`, `app_id`, `external_id`.
person_unlinked = _namespace.signal("person.unlinked")

#: The signals by the name of their event.
BY_EVENT = {signal.name: signal for signal in list(_namespace.values())}
