"""Calls of the platform's API: JSON in and out, problems as CygnetError."""
import json
import time
import urllib.error
import urllib.parse
import urllib.request

from .errors import CygnetError, of_problem
from .trust import urlopen

TIMEOUT_SECONDS = 60
TRIES = 4


def segment(text):
    """One path segment; a run reference keeps its colon."""
    return urllib.parse.quote(str(text), safe=":")


class Api:
    def __init__(self, configuration):
        self.configuration = configuration
        self._minted = None

    def get(self, path, query=None):
        return json.loads(self.call("GET", path, query)[1])

    def get_bytes(self, path, query=None):
        """(headers, bytes)"""
        return self.call("GET", path, query)

    def post(self, path, body):
        return json.loads(self.call("POST", path, None, body)[1] or b"null")

    def pages(self, path, query=None):
        """Every item of a paged list."""
        query = dict(query or {})
        while True:
            page = self.get(path, query)
            yield from page["items"]
            if not page.get("nextCursor"):
                return
            query["cursor"] = page["nextCursor"]

    def call(self, method, path, query=None, body=None):
        url = self.configuration.url + path
        if query:
            url += "?" + urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        pause, renewed = 0.2, False
        for attempt in range(1, TRIES + 1):
            headers = {"Accept": "application/json, */*", "User-Agent": "cygnet-python"}
            token = self._token()
            if token:
                headers["Authorization"] = "Bearer " + token
            data = None
            if body is not None:
                data = json.dumps(body).encode()
                headers["Content-Type"] = "application/json"
            request = urllib.request.Request(url, data=data, headers=headers, method=method)
            try:
                with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                    return dict((name.lower(), value) for name, value in answer.headers.items()), answer.read()
            except urllib.error.HTTPError as answer:
                content = answer.read()
                if answer.code == 401 and self._minted and not renewed:
                    self._minted, renewed = None, True
                    continue
                if answer.code in (502, 503, 504) and method == "GET" and attempt < TRIES:
                    time.sleep(pause)
                    pause *= 2
                    continue
                raise of_problem(answer.code, as_json(content)) from None
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                if method == "GET" and attempt < TRIES:
                    time.sleep(pause)
                    pause *= 2
                    continue
                raise CygnetError(
                    "client.unreachable",
                    "The platform at %s does not answer: %s." % (self.configuration.url, getattr(error, "reason", error)),
                    hint="Check the address, and that the platform runs.",
                ) from error
        raise AssertionError("not reached")

    def _token(self):
        configuration = self.configuration
        if configuration.token_file:
            try:
                with open(configuration.token_file, encoding="ascii") as handle:
                    return handle.read().strip()
            except OSError as error:
                raise CygnetError("client.no_token", "The token file cannot be read: %s." % error) from error
        if configuration.token:
            return configuration.token
        if self._minted is None and configuration.access_key_id:
            self._minted = self._exchange()
        return self._minted

    def _exchange(self):
        """An access token for an access key."""
        body = {"accessKeyId": self.configuration.access_key_id, "secretAccessKey": self.configuration.secret_access_key}
        request = urllib.request.Request(
            self.configuration.url + "/api/identity/token",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read())["accessToken"]
        except urllib.error.HTTPError as answer:
            raise of_problem(answer.code, as_json(answer.read())) from None
        except urllib.error.URLError as error:
            raise CygnetError("client.unreachable", "The platform at %s does not answer: %s." % (self.configuration.url, error.reason)) from error


def as_json(content):
    try:
        return json.loads(content)
    except ValueError:
        return None
