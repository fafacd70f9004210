"""AWS Signature Version 4 for S3, header form (docs.aws.amazon.com, "Signature Version 4 signing process")."""
import datetime
import hashlib
import hmac
import urllib.parse

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def encode(text, safe="-_.~"):
    return urllib.parse.quote(text, safe=safe)


def sign(method, host, path, query, headers, payload_sha256, access_key_id, secret_access_key, region, now=None):
    """The headers to send. `path` is already encoded; `query` is a list of (name, value), not encoded."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = "%s/%s/s3/aws4_request" % (stamp[:8], region)
    sent = {name.lower(): " ".join(str(value).split()) for name, value in headers.items()}
    sent.update({"host": host, "x-amz-date": stamp, "x-amz-content-sha256": payload_sha256})
    names = ";".join(sorted(sent))
    canonical = "\n".join([
        method,
        path,
        "&".join("%s=%s" % (encode(name), encode(value)) for name, value in sorted(query)),
        "".join("%s:%s\n" % (name, sent[name]) for name in sorted(sent)),
        names,
        payload_sha256,
    ])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret_access_key).encode()
    for part in (stamp[:8], region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    sent["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        access_key_id, scope, names, signature)
    del sent["host"]
    return sent
