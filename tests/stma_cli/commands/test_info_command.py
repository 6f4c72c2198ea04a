"""`stma info` names versions, devices, codecs and models, and how to get what is missing."""

import json
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from stma import __version__
from stma_cli import information
from stma_cli.main import app


def facts() -> dict[tuple[str, str], dict[str, object]]:
    result = CliRunner().invoke(app, ["info", "--json"])
    assert result.exit_code == 0, result.output
    return {(fact["section"], fact["name"]): fact for fact in json.loads(result.stdout)}


def test_this_installation_is_whole() -> None:
    found = facts()
    assert str(found["versions", "stma"]["value"]).startswith(__version__)
    assert found["versions", "torch"]["value"] == version("torch")
    assert torch.__version__.partition("+")[0] == version("torch").partition("+")[0]
    assert "threads by default" in str(found["devices", "cpu"]["value"])
    assert "H.264, HEVC" in str(found["video", "reads"]["value"])
    assert "as it should be" in str(found["models", "small"]["value"])


def test_a_card_that_only_stores_bf16_is_said_to_compute_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [(7, 5), (8, 6)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: cards[device.index])
    card = SimpleNamespace(name="card", total_memory=1 << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    found = facts()
    assert ", fp16, " in str(found["devices", "cuda:0"]["value"])
    assert ", bf16, " in str(found["devices", "cuda:1"]["value"])


@pytest.mark.parametrize("works", [True, False])
def test_8_bit_products_need_a_torch_that_makes_them(works: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stma.processor.has_int8_products", lambda: True)
    monkeypatch.setattr("stma.device.has_fast_int8", lambda: works)
    cpu = facts()["devices", "cpu"]
    assert f"{'with' if works else 'without'} fast 8-bit products" in str(cpu["value"])
    assert ("a newer torch" in str(cpu["fix"])) == (not works)


def test_lines_begin_with_their_section() -> None:
    lines = CliRunner().invoke(app, ["info"]).stdout.splitlines()
    sections = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert sections[:5] == ["versions", "devices", "memory", "video", "models"]


def test_what_is_missing_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package in ("ray", "typer"):
            raise PackageNotFoundError(package)
        return "1.0"

    lines = ["typer>=0.12", "pytest>=8; extra == 'dev'", "ray[default]>=2; extra == 'ray'", "av>=18"]
    monkeypatch.setattr(information, "requires", lambda name: lines)
    monkeypatch.setattr(information, "version", version)
    monkeypatch.setitem(information.DECODERS, "Cinepak 9", "cinepak9")
    result = CliRunner().invoke(app, ["info"])
    assert result.exit_code == 2
    for words in ("pip install typer", "pip install 'stma-cli[ray]'", "missing: ray", "cannot read"):
        assert words in result.stdout
    assert "dev" not in result.stdout.split("extras")[1]


def test_damaged_weights_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "small.safetensors").write_bytes(b"\0" * 100)
    monkeypatch.setattr("stma.weights_file.FOLDER", folder)
    result = CliRunner().invoke(app, ["info"])
    assert result.exit_code == 2
    assert "not a readable safetensors file" in result.stdout
