"""How many threads a run takes."""

import os
import subprocess
import sys

import pytest

from stma_cli.threads import default_threads, usable_cores


def test_default_is_every_usable_core_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert default_threads() == usable_cores() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    for useless in ("", "0", "many", "4,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", useless)
        assert default_threads() == usable_cores()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_only_cores_of_this_process_count() -> None:
    code = """
import os
from stma_cli.threads import usable_cores
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
print(usable_cores())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
