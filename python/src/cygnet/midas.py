"""Run files in MIDAS format, plain or gzip: events, banks and camera pictures. Pure Python, streaming.

Everything is little-endian. An event is a 16-byte header (id u16, mask u16, serial u32, time u32, size u32) and its data;
ids 0x8000, 0x8001 and 0x8002 are begin of run, end of run and messages. Data of other events: total size u32, flags u32,
then banks. Banks named CAMn hold one picture of camera n: u16 pixels, row by row.
"""
import gzip
import math
import struct
import sys
import zlib
from array import array
from collections import namedtuple

from .errors import CygnetError

Event = namedtuple("Event", "id mask serial timestamp size offset")
Bank = namedtuple("Bank", "name type offset size")
Picture = namedtuple("Picture", "camera width height pixels")

BEGIN, END, MESSAGE = 0x8000, 0x8001, 0x8002
LARGEST_EVENT_BYTES = 1 << 30
KNOWN_SHAPES = {10616832: (2304, 2304), 18874368: (4096, 2304), 8388608: (2048, 2048)}


def open_plain(stream):
    """The stream itself, or its content if it is gzip. The stream must be seekable at its start."""
    start = stream.read(2)
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream, mode="rb") if start == b"\x1f\x8b" else stream


def read_at(stream, offset, size):
    """So many bytes, or fewer at the end of the file: a run that crashed ends anywhere, a gzip file inside a block."""
    parts, left = [], size
    try:
        stream.seek(offset)
        while left > 0:
            part = stream.read(left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
    except EOFError:
        pass
    except (zlib.error, gzip.BadGzipFile) as error:
        raise CygnetError("midas.damaged", "The compressed file is damaged after byte %d of its content: %s." % (offset, error)) from error
    return b"".join(parts)


def events(stream):
    """Yields (Event, read) in file order; `read()` gives the data and may be left uncalled: it is skipped then."""
    offset = 0
    while True:
        head = read_at(stream, offset, 16)
        if len(head) < 16:
            return
        event_id, mask, serial, timestamp, size = struct.unpack("<HHIII", head)
        if size > LARGEST_EVENT_BYTES:
            raise CygnetError("midas.damaged", "The event at byte %d claims %d bytes." % (offset, size), hint="The file is damaged from there on.")
        event = Event(event_id, mask, serial, timestamp, size, offset)

        def read(at=offset + 16, size=size):
            data = read_at(stream, at, size)
            if len(data) < size:
                raise CygnetError("midas.cut_off", "The file ends inside the event at byte %d." % (at - 16))
            return data

        yield event, read
        offset += 16 + size


def banks(head, total):
    """The bank headers at the start of an event's data that `head` shows (all of it, or a piece), as Bank with offsets into the data."""
    if total < 8 or len(head) < 8:
        return
    claimed, flags = struct.unpack_from("<II", head)
    end = min(total, 8 + claimed)
    form = "<4sII" if flags & 0x10 else "<4sHH"
    header_bytes = 16 if flags & 0x20 else struct.calcsize(form)
    at = 8
    while at + header_bytes <= end and at + header_bytes <= len(head):
        name, kind, size = struct.unpack_from(form, head, at)
        if at + header_bytes + size > end:
            raise CygnetError("midas.damaged", "A bank is longer than its event.")
        yield Bank(name.decode("latin-1"), kind, at + header_bytes, size)
        at += header_bytes + (size + 7) // 8 * 8


def is_camera(bank):
    return bank.name.startswith("CAM") and bank.name[3:].isdigit()


def shape_of(size):
    """(width, height) of a camera bank of so many bytes."""
    if size in KNOWN_SHAPES:
        return KNOWN_SHAPES[size]
    side = math.isqrt(size // 2)
    if size == 0 or side * side * 2 != size:
        raise CygnetError("midas.unknown_camera", "A camera bank of %d bytes is of no known shape." % size)
    return side, side


def pictures(stream):
    """Yields (number, event, [Picture]) for every event with a camera bank, 0 first. Cut-off events end it."""
    number = 0
    for event, read in events(stream):
        if event.id in (BEGIN, END, MESSAGE):
            continue
        try:
            data = read()
        except CygnetError as error:
            if error.code == "midas.cut_off":
                return
            raise
        found = [picture_of(bank, data) for bank in banks(data, event.size) if is_camera(bank)]
        if found:
            yield number, event, found
            number += 1


class RunFile:
    """Random access to the pictures of a run file. A plain file is walked by its headers; gzip has to be read through."""

    def __init__(self, stream):
        self._stream = open_plain(stream)
        self._walk = None
        self._found = []  # [(data offset, data size, [Bank])]
        self._is_plain = self._stream is stream

    def picture(self, number, camera=0):
        """Picture `number` (0 first) of a camera; raises CygnetError midas.no_such_picture."""
        while len(self._found) <= number and self._next():
            pass
        if len(self._found) <= number:
            raise CygnetError("midas.no_such_picture", "The file has %d pictures; there is no number %d." % (len(self._found), number))
        offset, size, found = self._found[number]
        for bank in found:
            if bank.name == "CAM%d" % camera:
                data = read_at(self._stream, offset + bank.offset, bank.size)
                if len(data) < bank.size:
                    raise CygnetError("midas.cut_off", "The file ends inside picture %d." % number)
                return picture_of(Bank(bank.name, bank.type, 0, bank.size), data)
        raise CygnetError("midas.no_such_camera", "Picture %d has no camera %d; it has %s." % (number, camera, ", ".join(bank.name for bank in found)))

    def count(self):
        while self._next():
            pass
        return len(self._found)

    def _next(self):
        if self._walk is None:
            self._walk = events(self._stream)
        for event, read in self._walk:
            if event.id in (BEGIN, END, MESSAGE) or event.size < 20:
                continue
            found = [bank for bank in self._banks(event, read) if is_camera(bank)]
            if found:
                self._found.append((event.offset + 16, event.size, found))
                return True
        return False

    def _banks(self, event, read):
        if not self._is_plain:
            try:
                return list(banks(read(), event.size))
            except CygnetError as error:
                if error.code == "midas.cut_off":
                    return []
                raise
        return self._bank_headers(event)

    def _bank_headers(self, event):
        """Reads 16 bytes per bank, not the bank."""
        start = event.offset + 16
        head = read_at(self._stream, start, 8)
        if len(head) < 8:
            return []
        claimed, flags = struct.unpack("<II", head)
        form = "<4sII" if flags & 0x10 else "<4sHH"
        header_bytes = 16 if flags & 0x20 else struct.calcsize(form)
        end, at, found = min(event.size, 8 + claimed), 8, []
        while at + header_bytes <= end:
            raw = read_at(self._stream, start + at, header_bytes)
            if len(raw) < header_bytes:
                break
            name, kind, size = struct.unpack_from(form, raw)
            if at + header_bytes + size > end:
                break
            found.append(Bank(name.decode("latin-1"), kind, at + header_bytes, size))
            at += header_bytes + (size + 7) // 8 * 8
        return found


def picture_of(bank, data):
    width, height = shape_of(bank.size)
    pixels = array("H")
    pixels.frombytes(bytes(data[bank.offset:bank.offset + bank.size]))
    if sys.byteorder == "big":
        pixels.byteswap()
    return Picture(int(bank.name[3:]), width, height, pixels)
