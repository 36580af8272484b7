"""Runs the site in a process of its own: prints its port once it listens, and ends when its standard input does."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

import django
import uvicorn
from django.core.asgi import get_asgi_application
from django.core.management import call_command


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # The package reads these: its issuer, where its authorize page sends people, and that errors name their slug.
    os.environ.update(API_URL=address, APP_URL=address, LOGIN_URL=f"{address}/login", ENV="test")
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    call_command("migrate", verbosity=0)
    server = uvicorn.Server(uvicorn.Config(get_asgi_application(), log_level="warning", lifespan="off"))

    def end_with_parent() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.stdout.write(json.dumps({"address": address}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
