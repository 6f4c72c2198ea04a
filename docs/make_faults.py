"""Write docs/faults.md by running every case of tests/stma_cli/damaged.py: python docs/make_faults.py"""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "stma_cli"))
TARGET = Path(__file__).parent / "faults.md"
LONGEST_LINE = 200
HEAD = """# Damaged and hostile files

What stma does with files that are cut off, spoilt, empty, oversized, of another kind, or made to write elsewhere. Each row is
a test (`tests/stma_cli/test_damaged_files.py`), which makes the file, runs the command and requires the outcome and the line;
that it ends in time; that no file outside of `out` appears or changes; and that no temporary file, and no result under its
final name but complete masks, is left where it is refused. "Refused" is exit status 2 with this line on stderr; "handled" is a
complete result. The lines are real; `python docs/make_faults.py` writes this page.

"""


def main() -> None:
    """Run all cases, each in a folder of its own, and write the page."""
    from damaged import CASES
    from test_damaged_files import run_case

    from fakes import fake_setup
    from stma_cli.segment import run as segment_run

    real_setup = segment_run.set_up_model
    rows = []
    for case in CASES:
        segment_run.set_up_model = real_setup if "--model" in case.command else fake_setup
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            outcome = run_case(case)
            os.chdir(ROOT)
        line = " ".join(outcome.line.split()).replace("|", "\\|")
        line = f"{line[:LONGEST_LINE]}..." if len(line) > LONGEST_LINE else line
        command = case.command.replace("|", "\\|")
        rows.append(
            f"| {case.title} | `stma {command}` | {'refused' if outcome.status == 2 else 'handled'} | {line} |"
        )
    table = "| file | command | outcome | what is said |\n|---|---|---|---|\n" + "\n".join(rows)
    TARGET.write_text(f"{HEAD}{len(CASES)} cases.\n\n{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
