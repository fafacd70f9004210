"""The one error of this package."""


class CygnetError(Exception):
    """What went wrong and what to do. `code` is the same as in the API and on the command line."""

    def __init__(self, code, detail, hint=None, status=None, request_id=None):
        super().__init__(detail if hint is None else "%s %s" % (detail, hint))
        self.code = code
        self.detail = detail
        self.hint = hint
        self.status = status
        self.request_id = request_id

    def __repr__(self):
        return "CygnetError(%r, %r)" % (self.code, self.detail)


def of_problem(status, body):
    """From an answer of the API (RFC 9457) or anything else that was not a success."""
    if isinstance(body, dict) and "code" in body:
        return CygnetError(
            body["code"],
            body.get("detail") or body.get("title") or body["code"],
            hint=body.get("hint"),
            status=status,
            request_id=body.get("requestId"),
        )
    return CygnetError("client.unexpected_answer", "The platform answered with status %s." % status, status=status)
