"""A campaign of one's own: tracks with scikit-learn, on the same images the built-in chain reads.

    python3 cluster.py RAW PEDESTAL OUT

RAW is the run file (.mid or .mid.gz), PEDESTAL the map of the platform (.cyped), OUT the folder for the results. What it
writes there is shown like the results of the built-in chain: `clusters.parquet` with columns of the platform's names (any
subset; `event` is needed), and `summary.json` with numbers of one's own. Reading needs numpy only: see midas.py.
"""
import argparse
import json
import pathlib
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import ndimage
from sklearn.cluster import DBSCAN

from midas import images_of, read_pedestal

CELL = 4  # a macro-pixel is CELL x CELL pixels


def rebinned(light):
    height, width = (side - side % CELL for side in light.shape)
    return light[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL).mean(axis=(1, 3))


def cells_of(image, mean, sigma, options):
    """Macro-pixels above the noise: their rows and columns, and their light in counts per pixel."""
    light = image.astype(np.float32) - mean
    light[(light <= options.sigmas * sigma) | (image >= options.upper_cut)] = 0
    # Noise is alone, tracks are not: a pixel counts by the second brightest of its 2 x 2, a macro-pixel by its neighbours.
    calm = rebinned(ndimage.rank_filter(light, 2, size=2))
    around = (9 * ndimage.uniform_filter(calm, 3, mode="constant") - calm) / 8
    rows, columns = np.nonzero((calm > 0.5) & (around >= options.neighbourhood))
    return rows, columns, np.maximum(rebinned(light)[rows, columns], 1)


def clusters_of(image, mean, sigma, options):
    """One dictionary for each cluster of an image; names and units are those of the platform's cluster table."""
    rows, columns, weights = cells_of(image, mean, sigma, options)
    if len(rows) == 0:
        return []
    points = np.column_stack([rows, columns])
    labels = DBSCAN(eps=options.radius, min_samples=options.weight, metric="cityblock").fit_predict(
        points, sample_weight=weights
    )
    subtracted = image.astype(np.float32) - mean
    found = []
    for label in range(labels.max() + 1):
        mine = labels == label
        if mine.sum() < 2:
            continue
        found.append(variables(subtracted, sigma, rows[mine], columns[mine], options))
    return found


def variables(subtracted, sigma, rows, columns, options):
    inside = np.arange(CELL)
    y = (rows[:, None, None] * CELL + inside[None, :, None] + 0 * inside[None, None, :]).ravel()
    x = (columns[:, None, None] * CELL + inside[None, None, :] + 0 * inside[None, :, None]).ravel()
    light = subtracted[y, x]
    positive = np.clip(light, 0, None)
    total = positive.sum() or 1.0
    centre = np.array([(x * positive).sum(), (y * positive).sum()]) / total
    places = np.column_stack([x, y]) - centre
    _, axes = np.linalg.eigh(np.cov(places.T))
    minor, major = places @ axes[:, 0], places @ axes[:, 1]
    return {
        "size_px": len(light),
        "hits_px": int((light > options.sigmas * sigma[y, x]).sum()),
        "macro_pixels": len(rows),
        "integral_counts": float(light.sum()),
        "rms_counts": float(light.std()),
        "x_mean_px": float(centre[0]),
        "y_mean_px": float(centre[1]),
        "x_min_px": int(x.min()),
        "x_max_px": int(x.max()),
        "y_min_px": int(y.min()),
        "y_max_px": int(y.max()),
        "length_px": float(np.ptp(major)),
        "width_px": float(np.ptp(minor)),
        "long_rms_px": float(np.sqrt((positive * major**2).sum() / total)),
        "lat_rms_px": float(np.sqrt((positive * minor**2).sum() / total)),
        "theta_deg": float((np.degrees(np.arctan2(axes[1, 1], axes[0, 1])) + 90) % 180 - 90),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw")
    parser.add_argument("pedestal")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--sigmas", type=float, default=1.0, help="a pixel counts above this many pedestal sigmas")
    parser.add_argument("--upper-cut", type=int, default=5000, help="a raw pixel at or above this is hot")
    parser.add_argument("--neighbourhood", type=float, default=1.5, help="mean light around a macro-pixel, counts")
    parser.add_argument("--radius", type=float, default=12, help="of the clustering, macro-pixels")
    parser.add_argument("--weight", type=int, default=20, help="light within the radius, counts per pixel")
    options = parser.parse_args()

    pedestal = read_pedestal(options.pedestal)
    table, images, began = [], 0, time.monotonic()
    for event, camera, image in images_of(options.raw):
        images += 1
        if camera not in pedestal or pedestal[camera][0].shape != image.shape:
            print(f"event {event} camera {camera}: no pedestal map of {image.shape}")
            continue
        for cluster in clusters_of(image, *pedestal[camera], options):
            table.append({"event": event, "camera": camera, **cluster})
        print(f"image {images}: {len(table)} clusters so far", flush=True)
    schema = pa.Table.from_pylist(table) if table else pa.table({"event": pa.array([], pa.int32())})
    pq.write_table(schema, options.out / "clusters.parquet")
    seconds = time.monotonic() - began
    summary = {"images": images, "secondsPerImage": seconds / max(images, 1), "sigmas": options.sigmas}
    (options.out / "summary.json").write_text(json.dumps(summary))
    print(f"{images} images, {len(table)} clusters, {seconds:.1f} s")


if __name__ == "__main__":
    main()
