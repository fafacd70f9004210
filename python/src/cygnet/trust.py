"""Which certificates are believed over https: the system's, and an institute's own authority."""
import functools
import os
import ssl
import urllib.request

from .errors import CygnetError


def urlopen(request, timeout):
    """Like urllib's, and also trusts the PEM file named by CYGNET_CA_FILE (NODE_EXTRA_CA_CERTS where only that is set)."""
    url = request.full_url if isinstance(request, urllib.request.Request) else request
    if not url.startswith("https:"):
        return urllib.request.urlopen(request, timeout=timeout)
    path = os.environ.get("CYGNET_CA_FILE") or os.environ.get("NODE_EXTRA_CA_CERTS")
    return urllib.request.urlopen(request, timeout=timeout, context=context(path))


@functools.lru_cache(maxsize=1)
def context(path):
    trusted = ssl.create_default_context()
    if path:
        try:
            trusted.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise CygnetError("client.bad_authority", "The certificates in %s cannot be used: %s." % (path, error)) from error
    return trusted
