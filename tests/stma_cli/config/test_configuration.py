"""stma.toml: found beside the clips or given, overruled by what is typed, refused where it is wrong."""

import json
from pathlib import Path

import pytest
from fakes import fake_setup, save_mask
from media import make_clip
from typer.testing import CliRunner, Result

from stma.errors import SettingsError, StmaError
from stma_cli.main import app
from stma_cli.segment import run as segment_run

WIDTH, HEIGHT, COUNT = 64, 48, 6


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `clips` with a video and a mask, seen from the folder around it, and a model that copies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segment_run, "set_up_model", fake_setup)
    folder = Path("clips")
    folder.mkdir()
    make_clip(folder / "clip.mp4", COUNT, width=WIDTH, height=HEIGHT)
    save_mask("clips/first.png", 1, 4)
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def segment(*words: str) -> Result:
    return run("segment", "clips/clip.mp4", *words)


def refused(result: Result) -> str:
    assert isinstance(result.exception, SettingsError), result.output
    return str(result.exception)


def settings(out: str = "clip_stma") -> dict[str, object]:
    return dict(json.loads((Path(out) / "report.json").read_text())["settings"])


def config(text: str, path: str = "clips/stma.toml") -> str:
    Path(path).write_text(text)
    return path


def test_a_file_beside_the_clip_is_taken_and_said(clips: Path) -> None:
    config('[segment]\nmask = ["first.png"]\nsize = 32\nchunk = 2\nno-audio = true\n[bench]\nframes = 3\n')
    result = segment("--json")
    assert result.exit_code == 0, result.output
    assert f"config   {clips / 'stma.toml'}: --mask={clips / 'first.png'} --size=32 --chunk=2 --no-audio" in (
        result.stderr
    )
    assert json.loads(result.stdout)["frames"] == COUNT
    used = settings()
    assert (used["size"], used["chunk"], used["audio"]) == (32, 2, False)


def test_what_is_typed_wins(clips: Path) -> None:
    config('[segment]\nmask = "first.png"\nsize = 32\nchunk = 2\nobjects = "4"\n')
    result = segment("--size", "40", "--chunk=3", "--mask", "dog=clips/first.png", "--objects", "1")
    assert isinstance(result.exception, StmaError)  # the named mask has two objects: the file's was not used
    result = segment("--size", "40", "--chunk=3", "--mask", "clips/first.png")
    assert result.exit_code == 0, result.output
    used = settings()
    assert (used["size"], used["chunk"], used["objects"]) == (40, 3, "4")
    assert "config   clips/stma.toml: --objects=4" in result.stderr


def test_a_file_given_may_say_where_results_go(clips: Path) -> None:
    Path("settings").mkdir()
    config('[segment]\nmask = "7:dog=x.png"\nout = "../masks"\nforce = true\n', "settings/a.toml")
    result = segment("--config", "settings/a.toml", "--mask", "clips/first.png")
    assert result.exit_code == 0, result.output
    assert (Path("masks") / "00000.png").is_file()
    result = segment("--config", "settings/a.toml")
    assert "settings/x.png" in str(result.exception)


@pytest.mark.parametrize("line", ['out = "/tmp/elsewhere"', "force = true", 'overlay = "../seen.mp4"'])
def test_a_file_that_is_only_found_may_not(clips: Path, line: str) -> None:
    config(f"[segment]\n{line}\n")
    message = refused(segment("--mask", "clips/first.png"))
    assert line.partition(" ")[0] in message
    assert "--config none" in message
    assert segment("--mask", "clips/first.png", "--config", "none").exit_code == 0


def test_batch_takes_from_segment_what_is_not_of_one_run(clips: Path) -> None:
    config('[segment]\noverlay = "seen.mp4"\nout = "masks"\nsize = 32\n[batch]\noverlay = true\n')
    Path("empty").mkdir()
    result = run("batch", "empty", "--config", "clips/stma.toml")
    assert "empty" in str(result.exception)
    assert result.stderr == "config   clips/stma.toml: --size=32 --overlay\n"


@pytest.mark.parametrize(
    ("out", "words"), [("results", "--out=clips/results"), ("s3://bucket/run", "--out=s3://bucket/run")]
)
def test_results_of_a_batch_go_beside_the_file_or_to_a_url(clips: Path, out: str, words: str) -> None:
    config(f'[batch]\nout = "{out}"\n')
    Path("empty").mkdir()
    result = run("batch", "empty", "--config", "clips/stma.toml")
    assert result.stderr == f"config   clips/stma.toml: {words}\n"


def test_a_list_of_sequences_lies_beside_the_file_and_a_name_stays_one(clips: Path) -> None:
    (clips / "val.txt").write_text("bear\n")
    (clips / "bear").mkdir()
    config('[evaluate]\nsequences = ["val.txt", "bear"]\n')
    result = run("evaluate", "clips", "--baseline", "copy", "--config", "clips/stma.toml")
    assert result.stderr == "config   clips/stma.toml: --sequences=clips/val.txt --sequences=bear\n"


def test_a_folder_of_frames_may_hold_it(clips: Path) -> None:
    config("[overlay]\nalpha = 0.25\nnames = false\n")
    result = run("overlay", "clips", "clips", "-o", "a.mp4", "--audio")
    assert "--alpha=0.25 --no-names" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[segment]\nsiez = 3\n", "siez is no option of stma segment; remove it (did you mean size?)"),
        ("[segmnt]\nsize = 3\n", "(did you mean segment?)"),
        ("size = 3\n", "put it below [segment]"),
        ("[segment\n", "is not valid TOML"),
        ("[segment]\nsize = true\n", "is True; give text or a number"),
        ("[segment]\nsize = [1, 2]\n", "give text or a number"),
        ("[segment]\nmask = [[1]]\n", "or a list of them"),
        ('[segment]\nno-audio = "yes"\n', "give true or false"),
        (
            '[segment]\nconfig = "b.toml"\n',
            "config is no option within a file, which takes in no other; remove it",
        ),
    ],
)
def test_mistakes_are_named(clips: Path, text: str, message: str) -> None:
    path = config(text)
    found = refused(segment("--mask", "clips/first.png"))
    assert path in found
    assert message in found


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("size", '"abc"', "'abc'"), ("chunk", "0", "0"), ("precision", '"fp8"', "'fp8'")],
)
def test_values_follow_the_rules_of_the_option(clips: Path, key: str, value: str, said: str) -> None:
    config(f"[segment]\n{key} = {value}\n")
    result = segment("--mask", "clips/first.png")
    message = refused(result)
    assert f"config   clips/stma.toml: --{key}" in result.stderr
    assert message.startswith(f"clips/stma.toml: [segment] {key} is {said}: ")
    assert message.endswith("; correct it there, or remove it")


def test_a_wrong_value_that_was_typed_is_not_put_down_to_the_file(clips: Path) -> None:
    config("[segment]\nsize = 32\nchunk = 2\n")
    result = segment("--mask", "clips/first.png", "--size", "abc")
    assert result.exit_code == 2
    assert "--size" in result.stderr.split("\n", 1)[1]


def test_a_missing_or_binary_file(clips: Path) -> None:
    assert "check the path" in refused(segment("--config", "no.toml"))
    Path("b.toml").write_bytes(b"\xff\xfe\x00")
    assert "not valid TOML" in refused(segment("--config=b.toml"))


def test_a_file_on_another_drive_is_saved_with_its_whole_path(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_windows(path: object, start: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("os.path.relpath", on_windows)
    weights = clips / "mine.safetensors"
    weights.write_bytes(b"")
    assert segment("--model", str(weights), "--save-config", "a.toml").exit_code == 0
    assert f'model = "{weights.resolve().as_posix()}"' in Path("a.toml").read_text("utf-8")


def test_saved_options_come_back_without_those_of_one_run(clips: Path) -> None:
    weights = clips / "mine.safetensors"
    weights.write_bytes(b"")
    words = ["--size", "33", "--no-audio", "--precision", "fp32", "--model", str(weights)]
    result = segment(
        "--mask", "clips/first.png", "-o", "x", "--json", *words, "--save-config", "clips/stma.toml"
    )
    assert result.exit_code == 0, result.output
    assert "(without --json, --mask, --out, which belong to one run)" in result.stdout
    assert not Path("x").exists()
    lines = (clips / "stma.toml").read_text().splitlines()
    assert lines[0] == "[segment]"
    assert 'model = "mine.safetensors"' in lines
    result = segment("--mask", "clips/first.png")
    assert result.exit_code == 0, result.output
    used = settings()
    assert (used["size"], used["audio"], used["precision"]) == (33, False, "fp32")
    assert used["model"] == str(weights)
    assert "nothing is replaced" in refused(segment("--save-config", "clips/stma.toml"))
