"""For tests: Canaille (an identity provider written by others) with one person and one client, all in memory.

Argument: JSON {port, redirectUri, afterLogoutUri}. Prints 'ready'. Then one command a line on standard input, each answered
by 'done': 'groups NAME NAME ...' (the groups the person is in), 'lock' (the account is closed), 'rotate' (a new key signs).
"""

import datetime
import json
import logging
import sys
import threading

from canaille import create_app
from canaille.app import models
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

settings = json.loads(sys.argv[1])
address = f"127.0.0.1:{settings['port']}"


def new_key():
    return RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)


app = create_app(
    {
        "SECRET_KEY": "only for tests",
        "SERVER_NAME": address,
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "SMTP": None, "FORCE_HTTPS": False, "LOGGING": None},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [new_key()]},
    }
)
logging.disable(logging.CRITICAL)
backend = app.backend
now = datetime.datetime.now(datetime.timezone.utc)

with app.app_context():
    anna = models.User(
        user_name="anna.bianchi",
        password="correct horse battery",
        formatted_name="Anna Bianchi",
        given_name="Anna",
        family_name="Bianchi",
        emails=["anna@institute.example"],
    )
    backend.save(anna)
    client = models.Client(
        client_id="cygnet",
        client_secret="a secret of the institute",
        client_name="Cygnet",
        client_id_issued_at=now,
        redirect_uris=[settings["redirectUri"]],
        post_logout_redirect_uris=[settings["afterLogoutUri"]],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        scope=["openid", "profile", "email", "groups", "offline_access"],
        token_endpoint_auth_method="client_secret_post",
    )
    backend.save(client)
    client.audience = [client]
    backend.save(client)


def set_groups(names):
    for group in backend.query(models.Group):
        if group.display_name not in names:
            backend.delete(group)
    for name in names:
        group = backend.get(models.Group, display_name=name) or models.Group(display_name=name)
        group.members = [backend.get(models.User, user_name="anna.bianchi")]
        backend.save(group)


def command(words):
    with app.app_context():
        if words[0] == "groups":
            set_groups(words[1:])
        elif words[0] == "lock":
            user = backend.get(models.User, user_name="anna.bianchi")
            user.lock_date = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
            backend.save(user)
        elif words[0] == "rotate":
            app.config["CANAILLE_OIDC"]["ACTIVE_JWKS"] = [new_key()]


server = make_server("127.0.0.1", settings["port"], app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    command(line.split())
    print("done", flush=True)
