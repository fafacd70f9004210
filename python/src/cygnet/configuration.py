"""Where the platform is and who we are."""
import json
import os

from .errors import CygnetError

SESSION_FILE = "/run/cygnet/client.json"


class Configuration:
    """`token_file` is read at every call: the platform renews it. Keys never appear in a repr."""

    def __init__(self, url, s3_url=None, experiment=None, token_file=None, token=None, access_key_id=None,
                 secret_access_key=None, region="us-east-1", data_folder=None):
        self.url = url.rstrip("/")
        self.s3_url = s3_url.rstrip("/") if s3_url else None
        self.experiment = experiment
        self.token_file = token_file
        self.token = token
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self.region = region
        self.data_folder = data_folder

    def __repr__(self):
        return "Configuration(%r)" % self.url


def places():
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    named = os.environ.get("CYGNET_CLIENT")
    return ([named] if named else []) + [SESSION_FILE, os.path.join(home, "cygnet", "default.json")]


def load(path=None):
    for candidate in [path] if path else places():
        try:
            with open(candidate, encoding="utf-8") as handle:
                content = json.load(handle)
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise CygnetError("client.bad_profile", "%s is not valid JSON: %s" % (candidate, error)) from error
        return of_profile(content, candidate)
    if os.environ.get("CYGNET_URL"):
        return of_profile({"url": os.environ["CYGNET_URL"], "s3Url": os.environ.get("CYGNET_S3_URL")}, "the environment")
    raise CygnetError(
        "client.no_profile",
        "No Cygnet platform is known here.",
        hint="Looked at %s. Use a notebook session, or `cygnet login`." % ", ".join([path] if path else places()),
    )


def of_profile(content, where):
    url = content.get("url") or content.get("platformUrl")
    if not url:
        raise CygnetError("client.bad_profile", "%s does not say the platform's `url`." % where)
    key, secret = content.get("accessKeyId"), content.get("secretAccessKey")
    if not key and content.get("credentials"):
        key, secret = read_credentials(content["credentials"])
    token = content.get("token")
    is_file = bool(token) and token.startswith("/")
    return Configuration(
        url=url,
        s3_url=content.get("s3Url"),
        experiment=content.get("experiment") or os.environ.get("CYGNET_EXPERIMENT"),
        token_file=token if is_file else None,
        token=None if is_file else (token or content.get("accessToken")),
        access_key_id=key or os.environ.get("AWS_ACCESS_KEY_ID"),
        secret_access_key=secret or os.environ.get("AWS_SECRET_ACCESS_KEY"),
        region=content.get("region") or "us-east-1",
        data_folder=content.get("data"),
    )


def read_credentials(path):
    """The default profile of an AWS credentials file."""
    import configparser

    parser = configparser.RawConfigParser()
    if not parser.read(path) or not parser.has_section("default"):
        return None, None
    return parser.get("default", "aws_access_key_id", fallback=None), parser.get("default", "aws_secret_access_key", fallback=None)
