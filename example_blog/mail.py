"""How the blog sends mail: by the server that MAIL_SERVER names; in development without one it is printed."""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid
from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from flask import Flask

    from flask_linked_auth import Mail

__all__ = ["send", "tell_if_off"]

PATIENCE = 10  # seconds: while one mail hangs, the others wait
PLAIN = SMTP.clone(cte_type="7bit")  # not every server takes 8 bits


def tell_if_off(app: Flask) -> None:
    """Tell the operator of a blog in production that it cannot mail, and what follows from that."""
    if app.config["ENVIRONMENT"] == "production" and not app.config["MAIL_SERVER"]:
        app.logger.warning(
            "MAIL_SERVER is not set, so no mail is sent: who forgot a password cannot choose another,"
            " and e-mail addresses are not verified."
        )


def send(mail: Mail) -> None:
    """Send a mail by SMTP. Raises what smtplib does, which flask_linked_auth logs."""
    if current_app.config["MAIL_SERVER"]:
        message = _message(mail, current_app.config["MAIL_FROM"])
        with _server() as server:
            server.send_message(message)
    elif current_app.config["ENVIRONMENT"] == "development":  # who reads this log can follow the links
        current_app.logger.warning("No MAIL_SERVER; for %s: %s\n\n%s", mail.to, mail.subject, mail.text)


def _message(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage(PLAIN)
    message["From"] = sender
    message["To"] = Address(addr_spec=mail.to)  # one address, whatever is in it
    message["Subject"] = mail.subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = make_msgid(domain=message["From"].addresses[0].domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply shall come back
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    message["Content-Language"] = mail.language  # after these two, which make the Content-* headers anew
    return message


def _server() -> smtplib.SMTP:
    config = current_app.config
    where, security = (config["MAIL_SERVER"], config["MAIL_PORT"]), config["MAIL_SECURITY"]
    # Given here because smtplib's own default verifies no certificate: anybody on the way could read the links.
    verified = ssl.create_default_context()
    if security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=PATIENCE, context=verified)
    else:
        server = smtplib.SMTP(*where, timeout=PATIENCE)
    try:
        if security == "starttls":
            server.starttls(context=verified)
        if config["MAIL_USERNAME"]:
            server.login(config["MAIL_USERNAME"], config["MAIL_PASSWORD"])
    except BaseException:
        server.close()
        raise
    return server
