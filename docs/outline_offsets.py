"""Are masks too wide or too narrow? python docs/outline_offsets.py DATA

For each dataset of a training folder: the mean strength of edges in the pictures by their distance from the outlines
of the masks, and the distance at which most objects have their strongest edge. Masks that fit have it at 0; below 0
they are too wide. `stma.training.pool.WIDE_OUTLINES` names those that training draws in.
"""

import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from stma.training.pool import read_image, read_label

FARTHEST = 12  # pixels on either side of an outline
PICTURES = 120  # of a dataset
SMALLEST = 400  # pixels of an object
BORDER = 8  # pixels at the picture's own border, where a mask ends without an edge


def edges(picture: np.ndarray) -> np.ndarray:
    """(H, W) float32 length of the largest gradient of the three colours."""
    colours = picture.astype(np.float32)
    slopes = [cv2.Sobel(colours, cv2.CV_32F, *order) for order in ((1, 0), (0, 1))]
    return np.hypot(*slopes).max(axis=2)


def profile(strength: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray | None:
    """Mean strength by signed distance, -FARTHEST (within) to FARTHEST, over their mean; None of a small object."""
    mask = (labels == number).astype(np.uint8)
    if mask.sum() < SMALLEST:
        return None
    inside = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    distance = np.where(mask > 0, 0.5 - inside, cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5) - 0.5)
    others = ((labels != 0) & (labels != number)).astype(np.uint8)
    counts = np.abs(distance) < FARTHEST
    counts &= cv2.dilate(others, np.ones((2 * FARTHEST + 1,) * 2, np.uint8)) == 0
    counts[:BORDER] = counts[-BORDER:] = counts[:, :BORDER] = counts[:, -BORDER:] = False
    bins = (distance[counts] + FARTHEST + 0.5).astype(int)
    total = np.bincount(bins, minlength=2 * FARTHEST + 1)
    means = np.bincount(bins, strength[counts], 2 * FARTHEST + 1) / np.maximum(total, 1)
    return None if total[FARTHEST] < 60 or not means.any() else means / means.mean()


def main(data: Path) -> None:
    """Print a line for each dataset."""
    datasets = defaultdict(list)
    for label in sorted([*data.glob("video/*/*/*.png"), *data.glob("still/*/*.png")]):
        datasets[label.relative_to(data).parts[:2]].append(label)
    for name, labels in datasets.items():
        found = []
        for label in np.random.default_rng(0).permutation(np.array(labels, dtype=object))[:PICTURES]:
            numbers, strength = read_label(label), edges(read_image(label.with_suffix(".jpg")))
            found += [profile(strength, numbers, number) for number in np.unique(numbers) if number]
        profiles = [one for one in found if one is not None]
        if profiles:
            strongest = (
                np.array([np.convolve(one, [0.25, 0.5, 0.25], "same").argmax() for one in profiles])
                - FARTHEST
            )
            share = [(strongest < -1).mean(), (strongest > 1).mean()]
            highest = np.mean(profiles, axis=0).argmax() - FARTHEST
            print(
                f"{'/'.join(name):28s} {len(profiles):4d} objects  mean profile highest at {highest:+d}  "
                f"median {np.median(strongest):+.0f}  below -1 {share[0]:.2f}  above 1 {share[1]:.2f}"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
