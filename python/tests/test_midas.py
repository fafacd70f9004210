import gzip
import io
import struct
import sys
import unittest
from array import array
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from cygnet.errors import CygnetError  # noqa: E402
from cygnet.midas import RunFile, events, open_plain, pictures, shape_of  # noqa: E402

# The first bytes of a real-format event, recorded: id 1, mask 1, serial 5, time 1700000000, one bank CAM0 of 2x2 pixels
# in the 32-bit form with flags 0x11.
RECORDED = bytes.fromhex(
    "01000100" "05000000" "00f15365" "1c000000"
    "14000000" "11000000"
    "43414d30" "04000000" "08000000"
    "6400" "6500" "6600" "6700"
)


def bank(name, kind, data, flags):
    if flags & 0x20:
        head = struct.pack("<4sIII", name, kind, len(data), 0)
    elif flags & 0x10:
        head = struct.pack("<4sII", name, kind, len(data))
    else:
        head = struct.pack("<4sHH", name, kind, len(data))
    return head + data + b"\0" * (-len(data) % 8)


def event(banks, flags=0x11, event_id=1, serial=0):
    body = b"".join(bank(name, kind, data, flags) for name, kind, data in banks)
    data = struct.pack("<II", len(body), flags) + body
    return struct.pack("<HHIII", event_id, 1, serial, 1700000000 + serial, len(data)) + data


def text_event(event_id, text):
    return struct.pack("<HHIII", event_id, 0x494D, 12, 1700000000, len(text)) + text


def pixels(side, first):
    return array("H", [(first + index) & 0xFFFF for index in range(side * side)])


def run_file(count=3, flags=0x11):
    parts = [text_event(0x8000, b'{"Runinfo": {}}\0')]
    for number in range(count):
        parts.append(event([(b"INPT", 9, struct.pack("<3f", 1, 2, 3))], flags=0x01, event_id=5, serial=number))
        parts.append(event([(b"CAM0", 4, pixels(4, 100 * number).tobytes()), (b"DGH0", 6, b"\1\0\0\0")], flags=flags, serial=number))
    parts.append(text_event(0x8001, b"{}\0"))
    return b"".join(parts)


class Reading(unittest.TestCase):
    def test_recorded_bytes(self):
        [(number, found, [picture])] = list(pictures(io.BytesIO(RECORDED)))
        self.assertEqual((number, found.serial, found.timestamp), (0, 5, 1700000000))
        self.assertEqual((picture.camera, picture.width, picture.height, list(picture.pixels)), (0, 2, 2, [100, 101, 102, 103]))

    def test_every_form_of_bank_headers(self):
        for flags in (0x01, 0x11, 0x31):
            with self.subTest(flags=flags):
                run = RunFile(io.BytesIO(run_file(3, flags)))
                self.assertEqual(run.picture(2).pixels, pixels(4, 200))
                self.assertEqual(run.count(), 3)

    def test_gzip_gives_the_same(self):
        packed = gzip.compress(run_file(4))
        self.assertEqual(RunFile(io.BytesIO(packed)).picture(3).pixels, pixels(4, 300))
        self.assertEqual([number for number, _, _ in pictures(open_plain(io.BytesIO(packed)))], [0, 1, 2, 3])

    def test_random_access_skips_pixels(self):
        class Counting(io.BytesIO):
            count = 0

            def read(self, size=-1):
                Counting.count += max(size, 0)
                return super().read(size)

        stream = Counting(run_file(1) + event([(b"CAM0", 4, pixels(256, 0).tobytes())]) + event([(b"CAM0", 4, pixels(4, 7).tobytes())]))
        self.assertEqual(RunFile(stream).picture(2).pixels, pixels(4, 7))
        self.assertLess(Counting.count, 1000)

    def test_a_file_that_ends_inside_an_event(self):
        whole = run_file(3)
        for cut in (len(whole) - 30, len(whole) - 60, 40, 17, 3):
            with self.subTest(cut=cut):
                self.assertLessEqual(len(list(pictures(io.BytesIO(whole[:cut])))), 3)
                packed = gzip.compress(whole)[: max(20, cut // 2)]
                self.assertLessEqual(RunFile(io.BytesIO(packed)).count(), 3)

    def test_what_is_not_there(self):
        run = RunFile(io.BytesIO(run_file(1)))
        for number, camera, code in ((5, 0, "midas.no_such_picture"), (0, 3, "midas.no_such_camera")):
            with self.assertRaises(CygnetError) as raised:
                run.picture(number, camera)
            self.assertEqual(raised.exception.code, code)

    def test_nonsense_is_an_error_and_not_a_hang(self):
        with self.assertRaises(CygnetError):
            list(events(io.BytesIO(b"\xff" * 64)))

    def test_shapes(self):
        self.assertEqual(shape_of(10616832), (2304, 2304))
        self.assertEqual(shape_of(18874368), (4096, 2304))
        self.assertEqual(shape_of(500 * 500 * 2), (500, 500))
        with self.assertRaises(CygnetError):
            shape_of(6)


if __name__ == "__main__":
    unittest.main()
