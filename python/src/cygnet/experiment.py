"""Experiments and runs."""
import io
import re
import sys
from array import array

from .api import Api, segment
from .data import Data
from .errors import CygnetError
from .midas import Picture, RunFile
from .rows import Rows

WAYS = ("auto", "file", "s3", "api")
RUNS = re.compile(r"^([a-z][a-z0-9-]*)(?::(\d+)(?:-(\d+))?)?$")


class Experiment:
    def __init__(self, configuration, name):
        self.name = name
        self.ref = name
        self.url = "%s/e/%s" % (configuration.url, name)
        self.api = Api(configuration)
        self.data = Data(configuration, name)
        self._path = "/api/experiments/" + segment(name)

    def info(self):
        """Setups, series, what is being recorded, open faults."""
        return self.api.get(self._path)

    def runs(self, numbers=None, limit=None, **filters):
        """Runs, newest first, as Rows. `numbers` like "100-200,250"; filters: series, setup, kind, state, quality, text."""
        query = dict(filters, numbers=numbers, limit=min(limit or 1000, 1000))
        found = Rows()
        for row in self.api.pages(self._path + "/runs", query):
            if limit is not None and len(found) >= limit:
                break
            found.append(row)
        return found

    def run(self, reference):
        """One run by its reference, such as "sim:2"."""
        return Run(self, reference)

    def clusters(self, runs, cuts=None, campaign=None, columns=None, source="cluster"):
        """The rows of many runs that pass the cuts, as Rows. `runs` like "sim:1-20", "sim:7" or "sim" (all of them).

        `cuts` is text as on the Results page: "rmsCounts > 6 and hypot(xMeanPx-1152, yMeanPx-1152) < 800"; the platform
        applies it. `columns`: only these (names, or branches of the reference such as "sc_rms"); fewer are faster.
        `source`: "cluster", "event" (one row per image) or "waveform". Every row also says its run.
        """
        found = RUNS.match(runs)
        if not found:
            raise CygnetError("client.bad_argument", "%r names no runs." % (runs,), hint='Such as "sim:1-20", "sim:7" or "sim".')
        series, first, last = found.groups()
        query = {
            "series": series,
            "from": first,
            "to": last or first,
            "cuts": cuts,
            "campaign": campaign,
            "columns": ",".join(columns) if columns else None,
            "source": source,
            "format": "csv",
        }
        return Rows.of_csv(self.api.get_bytes(self._path + "/results/rows", query)[1].decode())

    def __repr__(self):
        return "Experiment(%r)" % self.name


class Run:
    """One run. Everything is asked for when it is needed; `refresh()` asks again."""

    def __init__(self, experiment, reference):
        self.experiment = experiment
        self.ref = reference
        self._path = "%s/runs/%s" % (experiment._path, segment(reference))
        self._detail = None
        self._opened = {}
        self.refresh()

    def refresh(self):
        self._detail = self.experiment.api.get(self._path)
        return self

    @property
    def url(self):
        return "%s/runs/%s" % (self.experiment.url, self.ref)

    @property
    def info(self):
        """State, kind, times, images, triggers, description, quality."""
        return self._detail["run"]

    @property
    def files(self):
        """Where the run's files are: bucket, key, role, state, sizeBytes, sha256."""
        return Rows(self._detail["files"])

    def to_dict(self):
        return self._detail

    def image(self, number, camera=0, via="auto"):
        """Picture `number` (0 first) as a numpy array, uint16, shape (rows, columns), counts as the camera gave them.

        `via`: "file" reads the plain file under /data, "s3" the object, "api" asks the platform for this one picture;
        "auto" takes the file where there is one. All give the same pixels.
        """
        try:
            import numpy
        except ImportError:
            raise CygnetError("client.no_numpy", "Images need numpy.", hint="pip install numpy, or use run.picture().") from None
        picture = self.picture(number, camera, via)
        return numpy.frombuffer(picture.pixels, dtype=numpy.uint16).reshape(picture.height, picture.width)

    def picture(self, number, camera=0, via="auto"):
        """Like `image`, without numpy: a Picture(camera, width, height, pixels)."""
        if via not in WAYS:
            raise CygnetError("client.bad_argument", "via is one of %s." % ", ".join(WAYS))
        if via == "auto":
            via = "file" if self._file_path() else "api"
        if via == "api":
            return self._picture_by_api(number, camera)
        return self._run_file(via).picture(number, camera)

    def clusters(self, campaign=None, selected=None):
        """The tracks found on the run, in event order and brightest first, as Rows of dicts."""
        query = {"limit": 1000, "campaign": campaign, "selected": None if selected is None else str(bool(selected)).lower()}
        return Rows(self.experiment.api.pages(self._path + "/clusters", query))

    def outlines(self, number, campaign=None):
        """Borders of the clusters of one picture: [{cluster, camera, selected, rings: [[x0, y0, …]]}]."""
        return self.experiment.api.get("%s/events/%d/outlines" % (self._path, number), {"campaign": campaign})["items"]

    def show(self, number=0, window=(95, 130), camera=0, via="auto", clusters=True, axes=None):
        """Draws a picture with the outlines of its clusters; counts outside `window` are clipped. Answers the axes."""
        try:
            import matplotlib.pyplot as pyplot
        except ImportError:
            raise CygnetError("client.no_matplotlib", "Drawing needs matplotlib.", hint="pip install matplotlib") from None
        image = self.image(number, camera, via)
        if axes is None:
            _, axes = pyplot.subplots(figsize=(8, 8))
        height, width = image.shape
        axes.imshow(image, cmap="viridis", vmin=window[0], vmax=window[1], origin="upper", extent=(0, width, height, 0))
        for outline in self.outlines(number) if clusters else ():
            if outline["camera"] != camera:
                continue
            for ring in outline["rings"]:
                closed = ring + ring[:2]
                axes.plot(closed[0::2], closed[1::2], color="tab:red" if outline["selected"] else "white", linewidth=1)
        axes.set(title="%s/%d" % (self.ref, number), xlabel="column", ylabel="row", xlim=(0, width), ylim=(height, 0))
        return axes

    def _raw(self):
        raw = [file for file in self._detail["files"] if file["role"] == "raw" and file["state"] in ("safe", "damaged")]
        if not raw:
            raise CygnetError("client.no_raw_file", "No raw file of %s has arrived yet." % self.ref, hint="Look at run.files, or try run.refresh() later.")
        return raw[0]

    def _name(self):
        raw = self._raw()
        return "%s/%s" % (raw["bucket"], raw["key"])

    def _file_path(self):
        return self.experiment.data.path(self._name())

    def _run_file(self, via):
        if via not in self._opened:
            if via == "file":
                path = self._file_path()
                if path is None:
                    raise CygnetError("client.no_mount", "The data are not mounted here.", hint='Use via="s3" or via="api".')
                self._opened[via] = RunFile(io.open(path, "rb"))
            else:
                self._opened[via] = RunFile(self.experiment.data.open(self._name()))
        return self._opened[via]

    def _picture_by_api(self, number, camera):
        headers, content = self.experiment.api.get_bytes("%s/events/%d/frame" % (self._path, number), {"camera": camera})
        pixels = array("H")
        pixels.frombytes(content)
        if sys.byteorder == "big":
            pixels.byteswap()
        return Picture(camera, int(headers["x-frame-width"]), int(headers["x-frame-height"]), pixels)

    def __repr__(self):
        run = self.info
        return "Run(%r, %s, %s, %s images)" % (self.ref, run["kind"], run["state"], run["images"])

    def _repr_html_(self):
        run = self.info
        return "<p><b>Run %s</b> of %s: %s, %s, %s images</p>" % (self.ref, self.experiment.name, run["kind"], run["state"], run["images"])
