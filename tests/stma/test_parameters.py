"""What learns, how fast, and what starts anew."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stma.config import MODEL_CONFIGS
from stma.errors import SettingsError
from stma.network.model import STMA
from stma.training.config import DataConfig, TrainConfig
from stma.training.losses import coarse_loss
from stma.training.parameters import parameter_groups, renew
from stma.training.plot import read_log
from stma.training.trainer import Trainer
from stma.weights import save_weights

TINY = MODEL_CONFIGS["tiny"]


def frozen(steps: int = 2) -> TrainConfig:
    data = DataConfig(crop=64, frames=3, max_objects=2)
    return TrainConfig(
        model="tiny",
        steps=steps,
        batch=2,
        threads=1,
        workers=0,
        device="cpu",
        warm_up=1,
        data=data,
        embedding_rate=0.0,
        learning_rate=1e-2,
    )


def test_every_parameter_is_in_one_group() -> None:
    model = STMA(TINY)
    groups = parameter_groups(model, TrainConfig(steps=1))
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in model.parameters())
    features = {id(p) for group in groups if group["features"] for p in group["params"]}
    assert id(model.embedding.stem.conv.weight) in features
    assert id(model.decoder.logit.weight) not in features


def test_frozen_features_stay_as_they_are_and_the_rest_learns(training_folder: Path, tmp_path: Path) -> None:
    trainer = Trainer(training_folder, tmp_path / "run", frozen())
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith(("embedding.", "label_propagation.")) for name in moved)
    assert any(name.startswith("decoder.") for name in moved)
    norms = read_log(tmp_path / "run" / "gradients.jsonl")[0]
    assert norms["decoder.logit"] > 0
    assert not any(name.startswith("embedding") for name in norms)


def test_fixed_statistics_stay_while_their_norms_learn(training_folder: Path, tmp_path: Path) -> None:
    save_weights(STMA(TINY), tmp_path / "old.safetensors")
    config = replace(frozen(), embedding_rate=1.0, fixed_statistics=True)
    with pytest.raises(SettingsError, match="give some, or leave it out"):
        Trainer(training_folder, tmp_path / "run", config)
    config = replace(config, initial_weights=str(tmp_path / "old.safetensors"))
    trainer = Trainer(training_folder, tmp_path / "run", config)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(".running_" in name or name.endswith("num_batches_tracked") for name in moved)
    assert "embedding.stem.norm.weight" in moved


def test_statistics_stay_from_a_part_of_the_run_on(training_folder: Path, tmp_path: Path) -> None:
    config = replace(frozen(steps=4), embedding_rate=1.0, statistics_until=0.5)
    trainer = Trainer(training_folder, tmp_path / "run", config)
    means = []
    trainer.train(lambda report: means.append(trainer.model.embedding.stem.norm.running_mean.clone()))
    assert not torch.equal(means[0], means[1])
    assert torch.equal(means[1], means[3])


def test_renewed_modules_start_at_random_and_the_others_are_kept(
    training_folder: Path, tmp_path: Path
) -> None:
    model = STMA(TINY)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 0.5)
    save_weights(model, tmp_path / "old.safetensors")
    config = TrainConfig(
        model="tiny", steps=1, initial_weights=str(tmp_path / "old.safetensors"), renewed=("decoder.mix8",)
    )
    started = Trainer(training_folder, tmp_path / "run", config).model
    assert not started.decoder.mix8.weight.any(), "it starts at zero"
    assert (started.decoder.mix4.weight == 0.5).all()
    with pytest.raises(SettingsError, match="its modules are embedding"):
        renew(model, model, ("decoder.mix",))


def test_coarse_loss_wants_the_object_and_ignores_padding() -> None:
    truth = torch.zeros(1, 2, 8, 8)
    truth[0, 0, 2:5, 2:5] = 1
    valid = torch.tensor([[True, False]])
    right = (truth * 2 - 1) * 20
    assert coarse_loss(right, truth, valid).item() == pytest.approx(0.0, abs=1e-3)
    assert coarse_loss(-right, truth, valid) > 10
    padded = right.clone()
    padded[0, 1] = 20
    assert torch.equal(coarse_loss(padded, truth, valid), coarse_loss(right, truth, valid))


def test_only_the_named_modules_learn(training_folder: Path, tmp_path: Path) -> None:
    trainer = Trainer(
        training_folder,
        tmp_path / "run",
        replace(frozen(), embedding_rate=1.0, only=("quality", "decoder.logit")),
    )
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    moved = {".".join(name.split(".")[:2]) for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"quality.hidden", "quality.output", "quality.empty", "decoder.logit"}
    assert trainer.loss.label_weight == 0, "the labels' keys cannot learn"
    with pytest.raises(SettingsError, match="its modules are embedding"):
        Trainer(training_folder, tmp_path / "other", replace(frozen(), only=("qualities",)))
