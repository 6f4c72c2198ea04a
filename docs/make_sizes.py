"""Draw docs/sizes.png, accuracy against speed: python docs/make_sizes.py s360.json s480.json s600.json

Each file is of `stma validate DATA --size S --threads 1 --json FILE`, with the set `real`.
"""

import json
import sys
from pathlib import Path

from matplotlib import pyplot

TARGET = Path(__file__).parent / "sizes.png"


def main() -> None:
    """One point per file: frames per second over the sequences, mean J&F over the sequences."""
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    points = []
    for name in sys.argv[1:]:
        run = json.loads(Path(name).read_text("utf-8"))
        real = next(row for row in run["sets"] if row["set"] == "real")
        points.append((1 / real["seconds per frame"], 100 * real["J&F"], run["size"]))
    points.sort()
    axes.plot([point[0] for point in points], [point[1] for point in points], "o-", color="#0072b2")
    for speed, score, size in points:
        axes.annotate(f"--size {size}", (speed, score), textcoords="offset points", xytext=(6, 6))
    axes.set(xlabel="frames per second, one thread", ylabel="J&F, mean of the validation clips")
    axes.margins(0.2)
    axes.grid(alpha=0.3)
    figure.savefig(TARGET, dpi=110)


if __name__ == "__main__":
    main()
