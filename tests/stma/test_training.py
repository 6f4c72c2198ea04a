"""Training on a small synthetic folder: clips, losses, resume, validation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_pairs import write_pair

from stma.config import MODEL_CONFIGS, SegmenterConfig
from stma.errors import DataError, OutputError, SettingsError, WeightsError
from stma.network.model import STMA
from stma.training.clip import ClipBatch, run_clip
from stma.training.clips import ClipDataset
from stma.training.config import DataConfig, LossConfig, TrainConfig
from stma.training.distributed import Group
from stma.training.disturb import disturb_masks
from stma.training.losses import bootstrapped_cross_entropy, dice, region_loss
from stma.training.plot import plot_run, read_log
from stma.training.pool import WIDE_OUTLINES, LabelledImage, read_image, scan, true_label
from stma.training.regions import REGIONS, partition
from stma.training.schedule import hard_share, learning_rate, progress
from stma.training.sources import Sources, cut_from_clip
from stma.training.trainer import StepReport, Trainer
from stma.training.validate import Validator
from stma.weights import load_model, save_weights

DATA = DataConfig(crop=64, frames=3, max_objects=2)
BUSY = replace(
    DATA,
    newcomer_probability=0.5,
    leaver_probability=0.5,
    bars_probability=0.5,
    shadow_probability=0.5,
    moving_probability=0.5,
    absence_probability=0.5,
    close_up_probability=0.5,
    look_alike_probability=0.5,
)


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


def test_validation_sequences_are_kept_apart(training_folder: Path) -> None:
    pool = scan(training_folder)
    assert [s.name for s in pool.sequences] == ["made/moving"]
    assert [s.name for s in pool.validation] == ["made/held"]
    assert len(pool.stills) == 3


@pytest.mark.parametrize("data", [DATA, BUSY])
def test_clips_are_reproducible_and_well_formed(training_folder: Path, data: DataConfig) -> None:
    first, second = (ClipDataset(scan(training_folder), data, seed=3, length=40) for _ in range(2))
    for index in range(40):
        frames, labels, regions, valid = first[index]
        assert frames.shape == (3, 3, 64, 64)
        assert frames.dtype == torch.uint8
        assert labels.shape == (3, 64, 64)
        objects = int(valid.sum())
        assert set(labels[0].unique().tolist()) - {0} == set(range(1, objects + 1)), (
            "every object starts visible"
        )
        assert labels.max() <= objects
        assert torch.equal(frames, second[index][0])
        assert torch.equal(labels, second[index][1])
        assert regions.shape == (3, 8, 8)
        assert regions.max() <= REGIONS
        assert torch.equal(regions, second[index][2])


def test_twins_of_real_objects_are_followed_or_not(training_folder: Path) -> None:
    """Of a clip of one object, alone but for its twin: some twins have a label of their own and some have none."""
    alone = replace(DATA, real_share=1.0, paste_probability=0.0, bars_probability=0.0)
    pool = scan(training_folder)
    lonely = ClipDataset(pool, alone, 7, 12)
    twins = ClipDataset(pool, replace(alone, look_alike_probability=1.0), 7, 12)
    assert {int(lonely[index][3].sum()) for index in range(12)} == {1}
    assert {int(twins[index][3].sum()) for index in range(12)} == {1, 2}


@pytest.mark.parametrize(("frames", "steps"), [(4, range(-3, 4)), (9, range(-1, 2)), (24, range(-1, 2))])
def test_a_sequence_is_played_to_and_fro_where_a_clip_is_longer(
    frames: int, steps: range, training_folder: Path
) -> None:
    config = DataConfig(frames=frames, max_gap=3)
    pool = scan(training_folder)
    sources = Sources(pool, config)
    (sequence,) = pool.sequences
    places = {int(read_image(frame.image)[:, :, 0].argmax()): i for i, frame in enumerate(sequence.frames)}
    for seed in range(20):
        images, labels = sources.frames(np.random.default_rng(seed))
        assert len(images) == len(labels) == frames
        shown = np.array([places[int(image[:, :, 0].argmax())] for image in images])
        moved = np.diff(shown)
        assert set(moved.tolist()) <= set(steps) - {0}, "no frame is shown twice in a row"
        if frames <= 9:
            assert (moved > 0).all() or (moved < 0).all()
        else:
            assert set(shown.tolist()) == set(range(9))


def test_what_is_too_small_is_not_cut_from_a_clip() -> None:
    image, label = np.zeros((40, 50, 3), np.uint8), np.zeros((40, 50), np.uint8)
    rng = np.random.default_rng(0)
    assert cut_from_clip(rng, [image] * 2, [label] * 2) is None
    label[:5, :5] = 1
    assert cut_from_clip(rng, [image] * 2, [label] * 2) is None
    moved = np.zeros_like(label)
    label[:20, :22], moved[10:30, 20:42] = 1, 1
    cut_out = cut_from_clip(rng, [image] * 2, [label, moved])
    assert cut_out is not None
    assert [alpha.shape for alpha in cut_out.alphas] == [(30, 42)] * 2
    assert [int((alpha > 0).sum()) for alpha in cut_out.alphas] == [440, 440]


def test_outlines_that_are_too_wide_are_drawn_in(tmp_path: Path) -> None:
    label = np.zeros((60, 80), np.uint8)
    label[20:60, 10:40] = 1  # to the lower border, where there is no outline
    label[20:60, 40:60] = 2
    Image.fromarray(label, mode="L").save(tmp_path / "0.png")
    (dataset, margin), *_ = WIDE_OUTLINES.items()
    kept = true_label(LabelledImage(tmp_path / "0.jpg", tmp_path / "0.png", dataset))
    expected = np.zeros_like(label)
    expected[20 + margin :, 10 + margin : 40 - margin] = 1
    expected[20 + margin :, 40 + margin : 60 - margin] = 2
    assert np.array_equal(kept, expected)
    same = true_label(LabelledImage(tmp_path / "0.jpg", tmp_path / "0.png", "another"))
    assert np.array_equal(same, label)


def test_colours_are_rgb(training_folder: Path) -> None:
    from stma.training.pool import read_image

    red, _, blue = read_image(training_folder / "video" / "made" / "moving" / "00000.jpg")[30, 20]
    assert red > 200
    assert blue < 80


def test_hardest_pixels_weigh_more() -> None:
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, 0, :4] = 5.0
    target = torch.zeros(1, 8, 8, dtype=torch.int64)
    assert bootstrapped_cross_entropy(logits, target, 0.25) > bootstrapped_cross_entropy(logits, target, 1.0)


def test_dice_ignores_padding() -> None:
    masks = torch.zeros(1, 2, 4, 4)
    masks[0, 0, :2] = 1
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    target[0, :2] = 1
    assert dice(masks, target, torch.tensor([[True, False]])).item() == pytest.approx(0.0, abs=1e-6)


def test_region_loss_asks_for_the_same_region_where_it_is_known() -> None:
    target = torch.zeros(1, 3, 4, 4)
    target[0, 1, :2] = 1  # the lower half is unknown
    right, wrong = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    right[0, 1, :2] = 1
    right[0, 0, 2:] = 1
    wrong[0, 2] = 1
    assert region_loss(right, target).item() == pytest.approx(0.0, abs=1e-6)
    assert region_loss(wrong, target) > 5
    assert region_loss(right, torch.zeros_like(target)).item() == 0.0


def test_regions_cover_a_layer_and_keep_their_numbers() -> None:
    regions = partition(np.random.default_rng(0), 50, 70, 21, 3)
    assert regions.shape == (50, 70)
    assert set(np.unique(regions)) == {21, 22, 23}


def test_disturbed_masks_stay_masks_and_leave_the_others_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(16, 2, 32, 32)
    masks[:, 0, 8:20, 8:20] = 0.9
    valid = torch.tensor([[True, False]] * 16)
    assert disturb_masks(masks, valid, 0.0, generator) is masks
    disturbed = disturb_masks(masks, valid, 0.5, generator)
    assert disturbed.min() >= 0
    assert disturbed.sum(1).max() <= 1
    assert not disturbed[:, 1].any(), "padding gains nothing"
    changed = (disturbed != masks).flatten(1).any(1)
    assert changed.any()
    assert not changed.all()
    with pytest.raises(SettingsError, match="share of 0 to 1"):
        LossConfig(disturbed_share=1.5)


def test_a_shifted_mask_does_not_come_in_at_the_other_border() -> None:
    masks = torch.zeros(1, 1, 64, 64)
    masks[..., 20:40, 56:] = 1
    touching = 0
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        disturbed = disturb_masks(masks, torch.ones(1, 1, dtype=torch.bool), 1.0, generator)
        assert disturbed.shape == masks.shape
        assert not disturbed[..., :40].any()
        touching += bool(disturbed[..., -1].any())
    assert touching > 30, "it goes on to its own border"


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
    assert learning_rate(by_steps, 99, 1.0) == pytest.approx(0.0)
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
        trainer.train(validate=lambda model, group: {"J": score, "F": score, "J&F": score})

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
    def fail(model: STMA, group: Group) -> dict[str, object]:
        raise DataError("00001.png is damaged; restore it")

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
    with pytest.raises(SettingsError, match="--steps or --minutes"):
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
