"""The identity provider of a Cygnet session's Jupyter server: believes one header, which only the gateway can sign.

The header is base64url(JSON {sub, name, server, exp}) + "." + hex(HMAC-SHA256(key, first part)). The key is a file that
only this session can read. There is no token and no password, so nothing that a browser could leak.
"""
import base64
import hashlib
import hmac
import json
import os
import time

from jupyter_server.auth import IdentityProvider, User

HEADER = "X-Cygnet-Identity"


def verify(value, key, server, now):
    """The claims of a genuine header that is not over and meant for this server; None otherwise."""
    body, _, signature = (value or "").partition(".")
    expected = hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return None
    if claims.get("server") != server or not now < claims.get("exp", 0) <= now + 90:
        return None
    return claims


class CygnetIdentityProvider(IdentityProvider):
    def __init__(self, **settings):
        super().__init__(**settings)
        with open(os.environ["CYGNET_SESSION_KEY_FILE"], "rb") as handle:
            self._key = handle.read()
        self._server = os.environ["CYGNET_SESSION"]

    @property
    def token(self):
        return ""

    @property
    def auth_enabled(self):
        return True

    def validate_security(self, app, ssl_options=None):
        """Nothing to warn about: the socket is private and every request is signed."""

    def get_user(self, handler):
        claims = verify(handler.request.headers.get(HEADER), self._key, self._server, time.time())
        if claims is None:
            return None
        return User(username=claims["sub"], name=claims["name"], display_name=claims["name"])
