"""The experiment's data by S3: list, get, put, remove, and objects opened as files."""
import hashlib
import io
import os
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

from .errors import CygnetError
from .signature import EMPTY_SHA256, encode, sign
from .trust import urlopen

AREAS = ("raw", "reco", "work")
BLOCK_BYTES = 1 << 16
TIMEOUT_SECONDS = 300


class Data:
    """`raw/…`, `reco/…`, `work/…` name the experiment's buckets; other names are keys of the work area."""

    def __init__(self, configuration, experiment):
        self.configuration = configuration
        self.experiment = experiment

    def locate(self, name):
        """(bucket, key)"""
        first, _, rest = name.lstrip("/").partition("/")
        if first in AREAS:
            return "%s-%s" % (self.experiment, first), rest
        if any(first == "%s-%s" % (self.experiment, area) for area in AREAS):
            return first, rest
        return "%s-work" % self.experiment, name.lstrip("/")

    def path(self, name):
        """The same object as a plain file, where the data are mounted; None elsewhere."""
        if not self.configuration.data_folder:
            return None
        bucket, key = self.locate(name)
        path = os.path.join(self.configuration.data_folder, bucket, key)
        return path if os.path.exists(path) else None

    def ls(self, name="work/", recursive=False):
        """[{name, sizeBytes, etag, modified}], folders with `name` ending in a slash and no size."""
        bucket, prefix = self.locate(name)
        entries, token = [], None
        while True:
            query = [("list-type", "2"), ("prefix", prefix)]
            if not recursive:
                query.append(("delimiter", "/"))
            if token:
                query.append(("continuation-token", token))
            root = ElementTree.fromstring(self.request("GET", bucket, "", query)[1])
            for item in children(root, "CommonPrefixes"):
                entries.append({"name": "%s/%s" % (bucket, text(item, "Prefix"))})
            for item in children(root, "Contents"):
                entries.append({
                    "name": "%s/%s" % (bucket, text(item, "Key")),
                    "sizeBytes": int(text(item, "Size")),
                    "etag": text(item, "ETag").strip('"'),
                    "modified": text(item, "LastModified"),
                })
            token = text(root, "NextContinuationToken")
            if not token:
                return sorted(entries, key=lambda entry: entry["name"])

    def stat(self, name):
        """{sizeBytes, etag, contentType}; raises CygnetError s3.NoSuchKey."""
        bucket, key = self.locate(name)
        headers, _ = self.request("HEAD", bucket, key)
        return {
            "sizeBytes": int(headers["content-length"]),
            "etag": headers.get("etag", "").strip('"'),
            "contentType": headers.get("content-type"),
        }

    def put(self, source, name):
        """Uploads a file, or bytes; a name that ends in a slash gets the file's own name. Answers {name, sizeBytes, sha256}."""
        if isinstance(source, (bytes, bytearray)):
            opened, base = io.BytesIO(source), None
        else:
            opened, base = open(source, "rb"), os.path.basename(str(source))
        with opened:
            if name.endswith("/"):
                if base is None:
                    raise CygnetError("client.no_name", "Bytes need a whole name, not only a folder.")
                name += base
            digest, size = hashlib.sha256(), 0
            for block in iter(lambda: opened.read(1 << 20), b""):
                digest.update(block)
                size += len(block)
            opened.seek(0)
            bucket, key = self.locate(name)
            self.request("PUT", bucket, key, body=opened, size=size, sha256=digest.hexdigest())
        return {"name": "%s/%s" % (bucket, key), "sizeBytes": size, "sha256": digest.hexdigest()}

    def get(self, name, target="."):
        """Downloads to a file or into a folder; a reader never sees half a file. Answers its path."""
        bucket, key = self.locate(name)
        path = os.path.join(target, key.rsplit("/", 1)[-1]) if os.path.isdir(target) else target
        temporary = "%s.%d.part" % (path, os.getpid())
        try:
            with self.stream(bucket, key) as answer, open(temporary, "wb") as handle:
                wanted, size = answer.headers.get("Content-Length"), 0
                for block in iter(lambda: answer.read(1 << 20), b""):
                    handle.write(block)
                    size += len(block)
                if wanted is not None and size != int(wanted):
                    raise CygnetError("client.cut_off", "The download of %s ended after %d of %s bytes." % (name, size, wanted), hint="Try again.")
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.remove(temporary)
        return path

    def rm(self, name):
        bucket, key = self.locate(name)
        self.request("DELETE", bucket, key)

    def open(self, name):
        """A binary file object for reading, seekable: it fetches the parts that are read."""
        bucket, key = self.locate(name)
        size = self.stat(name)["sizeBytes"]
        return io.BufferedReader(ObjectFile(self, bucket, key, size), BLOCK_BYTES)

    # --- the wire ---

    def stream(self, bucket, key, query=(), method="GET", headers=None, body=None, size=None, sha256=EMPTY_SHA256):
        configuration = self.configuration
        if not configuration.s3_url or not configuration.access_key_id:
            raise CygnetError(
                "client.no_s3",
                "No S3 address or key is known here.",
                hint="Use a notebook session, or put s3Url, accessKeyId and secretAccessKey in the profile (`cygnet credentials create`).",
            )
        path = "/" + encode(bucket) + ("/" + encode(key, safe="-_.~/") if key else "")
        host = urllib.parse.urlsplit(configuration.s3_url).netloc
        signed = sign(method, host, path, list(query), headers or {}, sha256, configuration.access_key_id,
                      configuration.secret_access_key, configuration.region)
        url = configuration.s3_url + path
        if query:
            url += "?" + "&".join("%s=%s" % (encode(one), encode(value)) for one, value in sorted(query))
        if size is not None:
            signed["content-length"] = str(size)
            signed.setdefault("content-type", "application/octet-stream")
        request = urllib.request.Request(url, data=body, headers=signed, method=method)
        try:
            return urlopen(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as answer:
            raise of_s3(answer, bucket, key) from None
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            raise CygnetError("client.unreachable", "The S3 service at %s does not answer: %s." % (configuration.s3_url, getattr(error, "reason", error))) from error

    def request(self, method, bucket, key, query=(), **parts):
        with self.stream(bucket, key, query, method=method, **parts) as answer:
            return dict((name.lower(), value) for name, value in answer.headers.items()), answer.read()


class ObjectFile(io.RawIOBase):
    """One object, read by ranges."""

    def __init__(self, data, bucket, key, size):
        super().__init__()
        self._data, self._bucket, self._key, self._size, self._at = data, bucket, key, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._at

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer):
        if self._at >= self._size or len(buffer) == 0:
            return 0
        last = min(self._size, self._at + len(buffer)) - 1
        _, content = self._data.request("GET", self._bucket, self._key, headers={"range": "bytes=%d-%d" % (self._at, last)})
        buffer[:len(content)] = content
        self._at += len(content)
        return len(content)


def of_s3(answer, bucket, key):
    """S3's XML error as ours: the code is `s3.` and theirs."""
    content = answer.read()
    code, message = {404: "NoSuchKey", 403: "AccessDenied"}.get(answer.code, "Error%d" % answer.code), None
    try:
        root = ElementTree.fromstring(content)
        code, message = text(root, "Code") or code, text(root, "Message")
    except ElementTree.ParseError:
        pass
    return CygnetError("s3." + code, "%s/%s: %s" % (bucket, key, message or code), status=answer.code)


def children(root, name):
    return [child for child in root if child.tag.rsplit("}", 1)[-1] == name]


def text(root, name):
    found = children(root, name)
    return (found[0].text or "") if found else ""
