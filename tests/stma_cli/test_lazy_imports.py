"""--help answers at once: no heavy package is imported for it."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "torch", "cv2", "av", "matplotlib", "pycocotools", "jinja2")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["segment", "--help"], ["--version"]])
def test_no_heavy_import(arguments: list[str]) -> None:
    code = f"""
import sys
from stma_cli import main
sys.argv = ["stma", *{arguments!r}]
try:
    if sys.argv[1:]:
        main.main()
finally:
    found = [name for name in {HEAVY!r} if name in sys.modules]
    print("heavy:", found, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stderr
