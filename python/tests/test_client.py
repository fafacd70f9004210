import datetime
import hashlib
import json
import sys
import tempfile
import threading
import unittest
from array import array
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cygnet  # noqa: E402
from cygnet.signature import EMPTY_SHA256, sign  # noqa: E402
from test_midas import pixels, run_file  # noqa: E402

KEY = "work/lime/sim/run00002.mid"


class Platform(BaseHTTPRequestHandler):
    """A small platform: the API's shapes and an S3 that keeps bytes. Signatures are checked by the end-to-end tests."""

    objects = {}
    failures = []
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value, status=200):
        self.answer(status, json.dumps(value).encode(), [("Content-Type", "application/json")])

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/api/"):
            if Platform.failures:
                return self.json({}, Platform.failures.pop())
            if self.headers.get("Authorization") != "Bearer secret-token":
                return self.json({"code": "identity.sign_in_needed", "detail": "Sign in.", "hint": "cygnet login", "status": 401}, 401)
            return self.api(parts.path, query)
        key = parts.path.lstrip("/")
        if "list-type" in query:
            found = "".join(
                "<Contents><Key>%s</Key><Size>%d</Size><ETag>&quot;e&quot;</ETag><LastModified>t</LastModified></Contents>"
                % (name.split("/", 1)[1], len(data)) for name, data in Platform.objects.items())
            return self.answer(200, ('<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%s</R>' % found).encode())
        data = Platform.objects.get(key)
        if data is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>")
        wanted = self.headers.get("Range")
        if wanted:
            first, last = (int(number) for number in wanted[6:].split("-"))
            return self.answer(206, data[first:last + 1])
        self.answer(200, data)

    do_HEAD = do_GET

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        assert hashlib.sha256(data).hexdigest() == self.headers["x-amz-content-sha256"]
        Platform.objects[self.path.lstrip("/")] = data
        self.answer(200, b"")

    def do_DELETE(self):
        Platform.objects.pop(self.path.lstrip("/"), None)
        self.answer(204, b"")

    def api(self, path, query):
        if path.endswith("/runs/sim:2"):
            return self.json({"run": {"kind": "data", "state": "closed", "images": 3}, "files": [
                {"bucket": "demo-work", "key": KEY.split("/", 1)[1], "role": "raw", "state": "safe"}], "notes": [], "faults": []})
        if path.endswith("/clusters"):
            start = int(query.get("cursor", 0))
            return self.json({"items": [{"event": start, "integralCounts": 1.5}], "nextCursor": str(start + 1) if start < 2 else None})
        if path.endswith("/events/1/frame"):
            return self.answer(200, pixels(4, 100).tobytes(), [("X-Frame-Width", "4"), ("X-Frame-Height", "4")])
        if path.endswith("/results/rows"):
            if query.get("cuts") == "nothing":
                return self.answer(200, b"run,rmsCounts\n", [("Content-Type", "text/csv")])
            asked = [query.get(name) for name in ("series", "from", "to", "cuts", "columns", "source")]
            assert asked == ["sim", "1", "20", "rmsCounts > 6", "run,rmsCounts,selected", "cluster"], asked
            return self.answer(200, b"run,rmsCounts,selected\n1,7.25,true\n2,,false\n", [("Content-Type", "text/csv")])
        return self.json({"code": "logbook.no_such_run", "detail": "There is no such run.", "requestId": "r1", "status": 404}, 404)


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.folder = tempfile.TemporaryDirectory()
        root = Path(cls.folder.name)
        (root / "token").write_text("secret-token\n")
        url = "http://127.0.0.1:%d" % cls.server.server_port
        cls.profile = root / "client.json"
        cls.profile.write_text(json.dumps({
            "url": url, "s3Url": url, "experiment": "demo", "token": str(root / "token"), "accessKeyId": "CYGX",
            "secretAccessKey": "very-secret", "data": str(root / "data")}))
        raw = root / "data" / "demo-work" / "lime" / "sim"
        raw.mkdir(parents=True)
        (raw / "run00002.mid").write_bytes(run_file(3))
        Platform.objects["demo-work/lime/sim/run00002.mid"] = run_file(3)

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        cls.folder.cleanup()

    def setUp(self):
        self.exp = cygnet.open(config=str(self.profile))

    def test_the_same_pixels_by_every_way(self):
        run = self.exp.run("sim:2")
        wanted = array("H", pixels(4, 100))
        for way in ("file", "s3", "api", "auto"):
            with self.subTest(way=way):
                self.assertEqual(run.picture(1, via=way).pixels, wanted)

    def test_pages_are_joined(self):
        clusters = self.exp.run("sim:2").clusters()
        self.assertEqual([row["event"] for row in clusters], [0, 1, 2])
        self.assertEqual(len(clusters.where(event=1)), 1)
        self.assertIn("<td>1.5</td>", clusters._repr_html_())

    def test_rows_of_many_runs(self):
        rows = self.exp.clusters("sim:1-20", cuts="rmsCounts > 6", columns=["run", "rmsCounts", "selected"])
        self.assertEqual(rows, [{"run": 1, "rmsCounts": 7.25, "selected": True}, {"run": 2, "rmsCounts": None, "selected": False}])
        self.assertEqual(self.exp.clusters("sim", cuts="nothing").columns, ["run", "rmsCounts"])
        with self.assertRaises(cygnet.CygnetError) as raised:
            self.exp.clusters("../sim")
        self.assertEqual(raised.exception.code, "client.bad_argument")

    def test_data(self):
        put = self.exp.data.put(b"hello", "analysis/me/a b+c.txt")
        self.assertEqual(put["name"], "demo-work/analysis/me/a b+c.txt")
        with self.assertRaises(cygnet.CygnetError) as raised:
            self.exp.data.stat("raw/none")
        self.assertEqual(raised.exception.code, "s3.NoSuchKey")
        self.assertIn("demo-work/lime/sim/run00002.mid", [entry["name"] for entry in self.exp.data.ls("work/", recursive=True)])
        with self.exp.data.open(KEY) as file:
            file.seek(-4, 2)
            self.assertEqual(file.read(), run_file(3)[-4:])

    def test_errors_carry_code_and_hint(self):
        with self.assertRaises(cygnet.CygnetError) as raised:
            self.exp.run("sim:9")
        self.assertEqual((raised.exception.code, raised.exception.status, raised.exception.request_id), ("logbook.no_such_run", 404, "r1"))
        with self.assertRaises(cygnet.CygnetError) as raised:
            cygnet.open(config=str(self.profile) + ".not")
        self.assertEqual(raised.exception.code, "client.no_profile")

    def test_a_platform_that_restarts_is_waited_for(self):
        Platform.failures = [503, 502]
        self.assertEqual(self.exp.run("sim:2").info["state"], "closed")

    def test_secrets_do_not_show(self):
        self.assertNotIn("very-secret", repr(self.exp.api.configuration) + repr(self.exp))

    def test_signature_against_the_published_example(self):
        # "Example: GET Object" of the AWS documentation on header-based signing.
        headers = sign(
            "GET", "examplebucket.s3.amazonaws.com", "/test.txt", [], {"range": "bytes=0-9"}, EMPTY_SHA256,
            "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1",
            datetime.datetime(2013, 5, 24, tzinfo=datetime.timezone.utc))
        self.assertTrue(headers["authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"))


if __name__ == "__main__":
    unittest.main()
