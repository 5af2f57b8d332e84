"""Models are loaded once a process, and anew where anything about them differs."""

import json
import shutil

import pytest
import torch

import tiny
from specprof import pocket
from specprof.engine.setup import loading
from specprof.errors import EnvironmentMissing
from specprof.settings import Settings

CPU = torch.device("cpu")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_loaded", {})
    return tiny.checkpoint(tmp_path / "tiny")


def test_a_model_is_loaded_once_a_process(place):
    """The cells of a sweep share it, whatever else they vary."""
    first = loading.load(str(place), Settings(depth=2), CPU)
    assert loading.load(str(place), Settings(depth=8, temperature=1.0), CPU) is first


@pytest.mark.parametrize("changed", [{"dtype": "float64"}, {"load_format": "dummy"}])
def test_another_dtype_or_format_is_another_model(place, changed):
    """What decides the weights is part of the key."""
    first = loading.load(str(place), Settings(), CPU)
    assert loading.load(str(place), Settings(**changed), CPU) is not first


def test_random_weights_follow_their_seed(place):
    """Two seeds are two models; of loaded weights the seed is no part."""
    dummies = [loading.load(str(place), Settings(load_format="dummy", seed=n), CPU) for n in (1, 2)]
    assert dummies[0] is not dummies[1]
    loaded = [loading.load(str(place), Settings(seed=n), CPU) for n in (1, 2)]
    assert loaded[0] is loaded[1]


def test_a_checkpoint_written_anew_is_loaded_anew(place):
    """The same folder with other weights is not what was kept."""
    first = loading.load(str(place), Settings(), CPU)
    tiny.checkpoint(place, seed=1)
    again = loading.load(str(place), Settings(), CPU)
    ours, theirs = (next(each.model.parameters()) for each in (first, again))
    assert not torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_a_configuration_alone_has_no_tokenizer(tmp_path, kind):
    """Of some kinds transformers makes one without a token: no text could be read by it."""
    tiny.model(kind).config.save_pretrained(tmp_path)
    assert loading.load(str(tmp_path), Settings(load_format="dummy"), CPU).tokenizer is None


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path):
    """Not later, with a text of no tokens."""
    tiny.model("gpt_neox").save_pretrained(tmp_path)
    with pytest.raises(EnvironmentMissing, match="can't load the tokenizer"):
        loading.load(str(tmp_path), Settings(), CPU)


def test_a_tokenizer_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    """A few steps that each put a long text for a letter end the process from within a library."""
    monkeypatch.setattr(loading, "_loaded", {})
    place = tmp_path / "target"
    shutil.copytree(pocket.folder("pocket/target"), place)
    whole = json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))
    steps = [{"type": "Replace", "pattern": {"String": "e"}, "content": "e" * 64}] * 4
    whole["normalizer"] = {"type": "Sequence", "normalizers": steps}
    (place / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(EnvironmentMissing, match="normalizer can make a text more than 64 times"):
        loading.load(str(place), Settings(), CPU)


def test_a_tokenizer_that_another_file_would_be_read_for_is_refused(tmp_path, monkeypatch):
    """What was looked over is what is loaded: transformers reads what its configuration names."""
    monkeypatch.setattr(loading, "_loaded", {})
    place = tmp_path / "target"
    shutil.copytree(pocket.folder("pocket/target"), place)
    config = json.loads((place / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["fast_tokenizer_files"] = ["tokenizer.4.0.json"]
    (place / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (place / "tokenizer.4.0.json").write_text("{", encoding="utf-8")
    with pytest.raises(EnvironmentMissing, match="names other files to be read in place of"):
        loading.load(str(place), Settings(), CPU)
