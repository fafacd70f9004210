"""Reads camera images from a MIDAS run file, and the platform's pedestal maps. numpy only."""
import gzip
import json
import struct

import numpy as np

ALIGNED, WIDE = 0x20, 0x10


def events_of(path):
    """(event id, body) of each event; a file cut off in the middle ends with its last whole event."""
    with open(path, "rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
    with (gzip.open if compressed else open)(path, "rb") as file:
        while True:
            try:
                header = file.read(16)
                if len(header) < 16:
                    return
                event_id, _mask, _serial, _time, size = struct.unpack("<HHIII", header)
                body = file.read(size)
            except (EOFError, OSError):
                return
            if len(body) < size:
                return
            yield event_id, body


def banks_of(body):
    """(name, bytes) of each bank of an event."""
    total, flags = struct.unpack_from("<II", body, 0)
    layout, length = ("<4sIII", 16) if flags & ALIGNED else ("<4sII", 12) if flags & WIDE else ("<4sHH", 8)
    place, end = 8, min(len(body), 8 + total)
    while place + length <= end:
        name, _kind, size, *_ = struct.unpack_from(layout, body, place)
        place += length
        yield name.decode("latin1"), body[place : place + size]
        place += (size + 7) // 8 * 8


def images_of(path):
    """(event number, camera, pixels) of each image; events without a camera bank are not counted."""
    event = 0
    for event_id, body in events_of(path):
        if event_id != 1:
            continue
        seen = False
        for name, data in banks_of(body):
            if name.startswith("CAM"):
                seen = True
                yield event, int(name[3:]), as_image(np.frombuffer(data, "<u2"))
        event += seen


def as_image(pixels):
    side = round(len(pixels) ** 0.5)
    return pixels.reshape(side, side) if side * side == len(pixels) else pixels.reshape(-1, 4096)


def read_pedestal(path):
    """{camera: (mean, sigma)} of a .cyped file, counts."""
    with open(path, "rb") as file:
        if file.read(8) != b"CYPED001":
            raise SystemExit(f"{path} is not a pedestal map")
        (length,) = struct.unpack("<I", file.read(4))
        header = json.loads(file.read(length))
    maps = {}
    for camera in header["cameras"]:
        shape = (camera["height"], camera["width"])
        maps[camera["camera"]] = tuple(
            np.memmap(path, "<f4", "r", camera[offset], shape) for offset in ("meanOffset", "sigmaOffset")
        )
    return maps
