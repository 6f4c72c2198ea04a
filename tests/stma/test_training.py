"""Training on a small synthetic folder: gradients, schedule, resume, validation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from training_pairs import write_pair

from stma.config import MODEL_CONFIGS, SegmenterConfig
from stma.errors import DataError, OutputError, SettingsError, WeightsError
from stma.evaluation import Score
from stma.network.model import STMA
from stma.training.clip import ClipBatch, run_clip
from stma.training.clips import ClipDataset
from stma.training.config import DataConfig, LossConfig, TrainConfig
from stma.training.distributed import Group
from stma.training.plot import plot_run, read_log
from stma.training.pool import scan
from stma.training.schedule import hard_share, learning_rate, progress
from stma.training.scores import ValidationScores
from stma.training.trainer import StepReport, Trainer
from stma.training.validate import Validator, read_frames
from stma.weights import load_model, save_weights

DATA = DataConfig(crop=64, frames=3, max_objects=2)


def config(**changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "model": "tiny",
        "steps": 6,
        "batch": 2,
        "threads": 1,
        "workers": 0,
        "device": "cpu",
        "warm_up": 2,
        "data": DATA,
    }
    return TrainConfig(**{**values, **changes})  # type: ignore[arg-type]


def test_gradients_reach_every_module(training_folder: Path) -> None:
    torch.manual_seed(0)
    model = STMA(MODEL_CONFIGS["tiny"]).train()
    for block in model.stml.blocks:  # new blocks are the identity and would hide the object tokens
        torch.nn.init.normal_(block.output.weight, std=0.1)  # type: ignore[union-attr,arg-type]
    dataset = ClipDataset(scan(training_folder), DATA, seed=0, length=4)
    clips = ClipBatch(*(torch.stack(parts) for parts in zip(*(dataset[i] for i in range(2)), strict=True)))
    run_clip(model, clips, 1.0, LossConfig(), torch.Generator()).total.backward()
    for name, module in model.named_children():
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters()), name


def test_schedule_ends_annealed_by_steps_or_minutes() -> None:
    by_steps, by_minutes = config(steps=100), config(steps=None, minutes=2.0)
    assert progress(by_steps, 50, 1e9) == 0.5
    assert progress(by_minutes, 10**6, 60.0) == 0.5
    assert progress(config(steps=100, minutes=1.0), 10, 60.0) == 1.0
    assert learning_rate(by_steps.learning_rate, by_steps.warm_up, 99, 1.0) == pytest.approx(0.0)
    shares = [hard_share(by_steps, done) for done in (0.0, 0.2, 0.45, 0.7, 1.0)]
    assert shares == pytest.approx([1.0, 1.0, 0.625, 0.25, 0.25])


def test_resumed_run_equals_an_uninterrupted_one(training_folder: Path, tmp_path: Path) -> None:
    straight = Trainer(training_folder, tmp_path / "straight", config())
    straight.train()
    halted = Trainer(training_folder, tmp_path / "halted", config())
    halted.train(lambda report: halted.stop() if report.step == 3 else None)
    resumed = Trainer(training_folder, tmp_path / "halted", config())
    assert resumed.step == 3
    resumed.train()
    expected, got = straight.average.model.state_dict(), resumed.average.model.state_dict()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_another_network_does_not_go_on_with_a_run(training_folder: Path, tmp_path: Path) -> None:
    Trainer(training_folder, tmp_path, config()).save()
    wider = replace(MODEL_CONFIGS["tiny"], stml_blocks=1)
    with pytest.raises(SettingsError, match=r"is another \(stml_blocks 2 -> 1\); give") as caught:
        Trainer(training_folder, tmp_path, config(network=wider))
    assert "\n" not in str(caught.value)
    assert Trainer(training_folder, tmp_path, config(steps=9, learning_rate=1e-5, ema=0.5)).step == 0


def test_scores_of_a_run_without_its_checkpoint_do_not_count(training_folder: Path, tmp_path: Path) -> None:
    def run(score: float) -> None:
        trainer = Trainer(training_folder, tmp_path, config(steps=1, seed=int(10 * score)))
        trainer.train(validate=lambda model, group: ValidationScores(Score(score, score), {}))

    run(0.9)
    before = (tmp_path / "best.safetensors").read_bytes()
    (tmp_path / "checkpoint.pt").unlink()
    run(0.2)
    assert [row["J&F"] for row in read_log(tmp_path / "validation.jsonl")] == [0.2]
    assert (
        (tmp_path / "best.safetensors").read_bytes() == (tmp_path / "last.safetensors").read_bytes() != before
    )
    load_model(str(tmp_path / "best.safetensors"))
    assert (tmp_path / "earlier-best.safetensors").read_bytes() == before
    load_model(str(tmp_path / "earlier-best.safetensors"))
    assert [row["J&F"] for row in read_log(tmp_path / "earlier-validation.jsonl")] == [0.9]


def test_run_learns_validates_and_plots(training_folder: Path, tmp_path: Path) -> None:
    trainer = Trainer(training_folder, tmp_path / "run", config(steps=40, learning_rate=3e-3))
    reports: list[StepReport] = []
    validator = Validator(trainer.pool.validation, SegmenterConfig(size=None, device="cpu"))
    trainer.train(reports.append, validator)
    first, last = (np.mean([r.loss for r in part]) for part in (reports[:8], reports[-8:]))
    assert last < 0.8 * first
    scores = read_log(tmp_path / "run" / "validation.jsonl")
    assert set(scores[-1]["sequences"]) == {"made/held"}
    assert 0 <= scores[-1]["J&F"] <= 1
    assert (tmp_path / "run" / "best.safetensors").is_file()
    assert (tmp_path / "run" / "last.safetensors").is_file()
    plot = plot_run(tmp_path / "run")
    assert plot is not None
    with Image.open(plot) as image:
        assert image.width > 500


@pytest.mark.parametrize("every", [0.0, 20.0])
def test_a_validation_that_fails_leaves_what_was_learned(
    every: float, training_folder: Path, tmp_path: Path
) -> None:
    def fail(model: STMA, group: Group) -> ValidationScores:
        raise DataError("00001.png is damaged", "restore it")

    trainer = Trainer(training_folder, tmp_path, config(steps=2, validate_minutes=every))
    with pytest.raises(DataError, match="damaged"):
        trainer.train(validate=fail)
    assert (tmp_path / "last.safetensors").is_file()
    assert Trainer(training_folder, tmp_path, config(steps=2)).step == trainer.step > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("name", [".checkpoint.pt.part", ".last.safetensors.part", "train.jsonl"])
def test_a_disk_that_is_full_is_called_so(name: str, training_folder: Path, tmp_path: Path) -> None:
    trainer = Trainer(training_folder, tmp_path, config(steps=1))
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OutputError, match="disk is full"):
        trainer.train()
    assert not list(tmp_path.glob("*.part"))


def test_a_file_is_no_folder_for_a_run(training_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(OutputError, match="choose another place"):
        Trainer(training_folder, tmp_path / "run", config())


@pytest.mark.parametrize("shown", [[1, 1], [0, 0, 1, 1], [0, 0, 0]])
def test_clips_that_give_no_score_are_refused_before_training(shown: list[int], tmp_path: Path) -> None:
    folder = tmp_path / "video" / "made" / "held"
    for time, there in enumerate(shown):
        label = np.full((32, 32), there, np.uint8)
        write_pair(folder, f"{time:05d}", np.zeros((32, 32, 3), np.uint8), label)
    with pytest.raises(DataError, match="made/held cannot be scored"):
        Validator(scan(tmp_path).sequences, SegmenterConfig(device="cpu"))


@pytest.mark.parametrize(("picture", "label"), [(48, 48), (48, 32), (32, 48)])
def test_a_validation_clip_of_several_sizes_is_named_before_training(
    picture: int, label: int, tmp_path: Path
) -> None:
    folder = tmp_path / "video" / "made" / "held"
    for time, (rows, label_rows) in enumerate([(32, 32), (32, 32), (picture, label), (32, 32)]):
        write_pair(
            folder, f"{time:05d}", np.zeros((rows, 32, 3), np.uint8), np.ones((label_rows, 32), np.uint8)
        )
    with pytest.raises(DataError, match=r"made/held cannot be scored: .*00002\.\w+ has 32 x 48 pixels and"):
        Validator(scan(tmp_path).sequences, SegmenterConfig(device="cpu"))


def test_a_validation_clip_of_turned_pictures_has_the_size_that_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "video" / "made" / "held"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # turn by 90 degrees clockwise to view
    for time in range(4):
        write_pair(folder, f"{time:05d}", np.zeros((48, 32, 3), np.uint8), np.ones((48, 32), np.uint8))
        Image.new("RGB", (48, 32)).save(folder / f"{time:05d}.jpg", exif=exif)
    (held,) = scan(tmp_path).sequences
    Validator((held,), SegmenterConfig(device="cpu"))
    assert next(read_frames(held))[0].shape == (48, 32, 3)


def test_training_goes_on_from_given_weights(training_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    given = STMA(MODEL_CONFIGS["tiny"])
    save_weights(given, tmp_path / "given.safetensors")
    path = str(tmp_path / "given.safetensors")
    trainer = Trainer(training_folder, tmp_path / "run", config(initial_weights=path))
    torch.testing.assert_close(
        trainer.model.embedding.stem.conv.weight, given.embedding.stem.conv.weight, rtol=1e-3, atol=1e-4
    )
    with pytest.raises(WeightsError, match="not a small model"):
        Trainer(training_folder, tmp_path / "other", config(initial_weights=path, model="small"))


def test_unusable_settings_and_folders_are_named(training_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give a number of steps or of minutes"):
        Trainer(training_folder, tmp_path / "a", config(steps=None))
    with pytest.raises(SettingsError, match="unknown"):
        Trainer(training_folder, tmp_path / "a", config(model="vast"))
    with pytest.raises(DataError, match="does not exist"):
        scan(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no labelled clip"):
        scan(tmp_path / "empty")
    run = tmp_path / "broken"
    run.mkdir()
    (run / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match="cannot be resumed"):
        Trainer(training_folder, run, config())


def test_training_imports_without_a_video_decoder() -> None:
    import subprocess
    import sys

    code = "import sys; sys.modules['av'] = None; import stma.training.trainer, stma.training.validate"
    subprocess.run([sys.executable, "-c", code], check=True)
