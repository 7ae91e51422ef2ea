#!/usr/bin/env python3
"""Draws the images of the built-in sample: ten classes of glyphs, 32x32 RGB.

    python3 tests/tools/make_sample_data.py [--out testdata/sample]

writes calib/NNN_<class>.jpg, calib.labels.txt, test_images.npy,
test_labels.npy and classes.txt. Needs numpy and Pillow (for the JPEG coding
only); every glyph is a signed distance function, evaluated on a 64x64 grid,
turned into coverage, and averaged down to 32x32.

The three splits (train, calib, test) come from separate seeds, and each image
from its own (seed, index) pair, so any one of them can be drawn alone. The
training split is drawn in memory by train_sample.py and never stored.
"""
import argparse
import os
import shutil

import numpy as np

SIZE = 32
SUPER = 2  # samples per pixel and axis, on top of the distance-based coverage
CLASSES = ["disc", "ring", "triangle", "square", "star",
           "cross", "crescent", "arrow", "tee", "zed"]
SEEDS = {"train": 1001, "val": 2002, "calib": 3003, "test": 4004}
CALIB_COUNT = 200
TEST_COUNT = 800
JPEG_QUALITY = 92

_axis = (np.arange(SIZE * SUPER, dtype=np.float64) + 0.5) / SUPER
GRID_X, GRID_Y = np.meshgrid(_axis, _axis)  # pixel units, y down


# --- signed distances: negative inside ---------------------------------------

def segment_distance(x, y, ax, ay, bx, by):
    """Unsigned distance to the segment a-b."""
    ex, ey = bx - ax, by - ay
    px, py = x - ax, y - ay
    t = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0)
    return np.hypot(px - t * ex, py - t * ey)


def polygon(x, y, points):
    """Signed distance to a simple polygon; the sign by even-odd crossings."""
    dist = np.full(x.shape, np.inf)
    inside = np.zeros(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1]):
        dist = np.minimum(dist, segment_distance(x, y, ax, ay, bx, by))
        if ay != by:
            straddles = (ay > y) != (by > y)
            inside ^= straddles & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return np.where(inside, -dist, dist)


def box(x, y, cx, cy, hx, hy):
    qx, qy = np.abs(x - cx) - hx, np.abs(y - cy) - hy
    return (np.hypot(np.maximum(qx, 0.0), np.maximum(qy, 0.0))
            + np.minimum(np.maximum(qx, qy), 0.0))


def star_points(inner):
    angle = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 1.0, inner)
    return list(zip((radius * np.cos(angle)).tolist(),
                    (radius * np.sin(angle)).tolist()))


def glyph(name, x, y, rng):
    """Signed distance to a glyph that about fills the unit disc.

    `rng` varies stroke widths and proportions within the class."""
    u = rng.uniform(-1.0, 1.0)
    if name == "disc":
        return np.hypot(x, y) - (0.85 + 0.05 * u)
    if name == "ring":
        return np.abs(np.hypot(x, y) - 0.68) - (0.20 + 0.06 * u)
    if name == "triangle":
        return polygon(x, y, [(0.25 * u, -0.95), (0.9, 0.7), (-0.9, 0.7)])
    if name == "square":
        return box(x, y, 0.0, 0.0, 0.76, 0.76 + 0.08 * u)
    if name == "star":
        return polygon(x, y, star_points(0.45 + 0.06 * u))
    if name == "cross":
        w = 0.25 + 0.07 * u
        return np.minimum(box(x, y, 0.0, 0.0, 0.92, w),
                          box(x, y, 0.0, 0.0, w, 0.92))
    if name == "crescent":
        bite = np.hypot(x - 0.48 - 0.08 * u, y) - 0.74
        return np.maximum(np.hypot(x, y) - 0.92, -bite)
    if name == "arrow":
        w = 0.22 + 0.06 * u
        return polygon(x, y, [(-0.95, -w), (0.1, -w), (0.1, -0.75), (0.98, 0.0),
                              (0.1, 0.75), (0.1, w), (-0.95, w)])
    if name == "tee":
        w = 0.20 + 0.05 * u
        return np.minimum(box(x, y, 0.0, -0.68, 0.82, w),
                          box(x, y, 0.0, 0.08, w, 0.82))
    if name == "zed":
        w = 0.18 + 0.05 * u
        strokes = [(-0.65, -0.7, 0.65, -0.7), (0.65, -0.7, -0.65, 0.7),
                   (-0.65, 0.7, 0.65, 0.7)]
        return np.minimum.reduce(
            [segment_distance(x, y, *s) for s in strokes]) - w
    raise ValueError(name)


# --- painting -----------------------------------------------------------------

def paint(canvas, distance, color, opacity=1.0):
    """Lays `color` over `canvas` where `distance` (in pixels) is negative."""
    cover = opacity * np.clip(0.5 - distance * SUPER, 0.0, 1.0)
    canvas += cover[..., None] * (color - canvas)


def paint_glyph(canvas, name, color, rng):
    """Draws one glyph under a random affine map."""
    radius = rng.uniform(6.0, 12.0)
    turn = rng.uniform(-0.75, 0.75)
    stretch = np.exp(rng.uniform(-0.3, 0.3))
    shear = rng.uniform(-0.35, 0.35)
    center = SIZE / 2 + rng.uniform(-4.5, 4.5, 2)
    rotate = np.array([[np.cos(turn), -np.sin(turn)],
                       [np.sin(turn), np.cos(turn)]])
    matrix = radius * rotate @ np.array([[stretch, shear], [0.0, 1 / stretch]])
    inverse = np.linalg.inv(matrix)
    px, py = GRID_X - center[0], GRID_Y - center[1]
    distance = glyph(name, inverse[0, 0] * px + inverse[0, 1] * py,
                     inverse[1, 0] * px + inverse[1, 1] * py, rng)
    paint(canvas, distance * radius, color)


def paint_line(canvas, rng):
    ax, ay, bx, by = rng.uniform(-2.0, SIZE + 2.0, 4)
    width = rng.uniform(0.3, 1.3)
    distance = segment_distance(GRID_X, GRID_Y, ax, ay, bx, by) - width
    paint(canvas, distance, rng.uniform(0.0, 1.0, 3), rng.uniform(0.5, 1.0))


def paint_blob(canvas, rng):
    cx, cy = rng.uniform(0.0, SIZE, 2)
    radius = rng.uniform(1.0, 4.0)
    distance = np.hypot(GRID_X - cx, GRID_Y - cy) - radius
    paint(canvas, distance, rng.uniform(0.0, 1.0, 3), rng.uniform(0.5, 1.0))


def gradient(rng):
    """A brightness ramp across the image in a random direction."""
    angle = rng.uniform(0.0, 2 * np.pi)
    ramp = ((GRID_X - SIZE / 2) * np.cos(angle)
            + (GRID_Y - SIZE / 2) * np.sin(angle)) / (SIZE / 2)
    return (1.0 + rng.uniform(0.0, 0.45) * ramp)[..., None]


def draw(label, rng):
    """One image of class `label`: uint8 [32, 32, 3]."""
    back = rng.uniform(0.0, 1.0, 3)
    while True:
        fore = rng.uniform(0.0, 1.0, 3)
        if np.linalg.norm(fore - back) > 0.35:
            break
    canvas = np.broadcast_to(back, GRID_X.shape + (3,)).copy()
    for _ in range(rng.randint(1, 5)):
        paint_line(canvas, rng)
    for _ in range(rng.randint(0, 4)):
        paint_blob(canvas, rng)
    paint_glyph(canvas, CLASSES[label], fore, rng)
    for _ in range(rng.randint(0, 2)):
        paint_line(canvas, rng)
    canvas *= gradient(rng)
    image = canvas.reshape(SIZE, SUPER, SIZE, SUPER, 3).mean(axis=(1, 3))
    image += rng.normal(0.0, rng.uniform(0.01, 0.08), image.shape)
    return np.clip(np.rint(image * 255.0), 0, 255).astype(np.uint8)


def draw_split(split, count, first=0):
    """Images uint8 [count, 32, 32, 3] and labels int64 [count] of a split.

    The classes take turns, so every split is balanced."""
    images = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
    labels = (np.arange(first, first + count) % len(CLASSES)).astype(np.int64)
    for i in range(count):
        rng = np.random.RandomState([SEEDS[split], first + i])
        images[i] = draw(int(labels[i]), rng)
    return images, labels


def main():
    from PIL import Image

    here = os.path.dirname(os.path.abspath(__file__))
    default = os.path.join(here, "..", "..", "testdata", "sample")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=os.path.normpath(default),
                        help="folder to write (default: testdata/sample)")
    out = parser.parse_args().out

    calib = os.path.join(out, "calib")
    if os.path.isdir(calib):
        shutil.rmtree(calib)
    os.makedirs(calib)
    images, labels = draw_split("calib", CALIB_COUNT)
    lines = []
    for i, (image, label) in enumerate(zip(images, labels)):
        name = "%03d_%s.jpg" % (i, CLASSES[label])
        # Full-resolution chroma: decoders then agree to within rounding.
        Image.fromarray(image).save(os.path.join(calib, name),
                                    quality=JPEG_QUALITY, subsampling=0,
                                    optimize=True)
        lines.append("%s %d\n" % (name, label))
    with open(os.path.join(out, "calib.labels.txt"), "w", newline="\n") as f:
        f.writelines(lines)
    with open(os.path.join(out, "classes.txt"), "w", newline="\n") as f:
        f.writelines(name + "\n" for name in CLASSES)

    images, labels = draw_split("test", TEST_COUNT)
    np.save(os.path.join(out, "test_images.npy"),
            np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    np.save(os.path.join(out, "test_labels.npy"), labels)


if __name__ == "__main__":
    main()
