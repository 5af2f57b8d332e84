"""A model is looked over before it is loaded; odd folders end in one line, each by its recipe."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

import heads
import runs
import tiny
from specprof.backends.native import Native
from specprof.engine.checkpoints import where
from specprof.engine.checkpoints.survey import survey
from specprof.engine.setup import fits, loading
from specprof.errors import EnvironmentMissing, SpecprofError, UsageError
from specprof.settings import RunSpec, Settings

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

from odd.configs import KINDS, NUMBERS, ROPES, SIZES
from odd.files import FILES, PLACES
from odd.recipes import write_healthy
from odd.weights import WEIGHTS

CPU = torch.device("cpu")
LATER = {
    *("tensor missing", "tensors missing, many", "names of another", "header of nothing"),
    *("weights NaN", "weights Inf", "num_hidden_layers 3", "index metadata odd", "index map odd"),
    *("pad_token_id 1000000", "initializer_range 'x'"),
}
"""What is missing, what is no number and what is never used shows only as the model is loaded."""
EARLY = [*SIZES, *NUMBERS, *WEIGHTS, *PLACES]
LOOKED = [each for each in EARLY if each.name not in LATER]
LOADED = [*(each for each in EARLY if each.name in LATER), *[*KINDS, *ROPES, *FILES][::4]]
"""And a quarter of the rest; the benchmark `odd_models` runs all of them, as a user would."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write_healthy(tmp_path_factory.mktemp("odd") / "sound")


@pytest.fixture
def copy(sound, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_loaded", {})
    return Path(shutil.copytree(sound, tmp_path / "odd"))


def _refusal(does):
    """Return what it is refused with; None where it is not."""
    try:
        does()
    except SpecprofError as error:
        return error
    return None


def _well_told(odd, place, error):
    """Whether it may go well, or is refused in two lines, by name, with exit code 2 or 3."""
    if error is None:
        return odd.runs
    lines = len((error.title + error.hint).splitlines())
    return error.exit_code in {2, 3} and lines == 1 and place.name in error.title and error.hint


@pytest.mark.parametrize("odd", LOOKED, ids=lambda odd: odd.name)
def test_what_is_odd_is_told_before_anything_is_loaded(copy, odd, monkeypatch):
    """Sizes, dtypes, headers, shards, places: no loader of weights is ever asked."""
    odd.make(copy)
    monkeypatch.setattr(loading.AutoModelForCausalLM, "from_pretrained", None)

    def look():
        found = survey(str(copy), Settings(), torch.float32)
        found.check_weights()
        fits.check_loads("odd", found.weight_bytes, CPU)

    assert _well_told(odd, copy, _refusal(look))


@pytest.mark.parametrize("odd", LOADED, ids=lambda odd: odd.name)
def test_what_only_loading_shows_is_a_line_too(copy, odd):
    """Kinds of models, rotations, tokenizers, files of others' forms."""
    odd.make(copy)
    error = _refusal(lambda: loading.load(str(copy), Settings(), CPU))
    assert _well_told(odd, copy, error)
    assert not list(copy.rglob("RAN")), "code of the folder ran"


@pytest.mark.parametrize(
    "name", ["weights NaN", "weights Inf", "tensor missing", "header of nothing"]
)
def test_weights_that_are_no_numbers_or_not_there_are_refused(copy, name):
    """By the name of the first."""
    (odd,) = [each for each in WEIGHTS if each.name == name]
    odd.make(copy)
    with pytest.raises(EnvironmentMissing, match=r"NaN or infinity|lacks weights|metadata"):
        loading.load(str(copy), Settings(), CPU)


def test_a_head_given_as_a_model_is_told_how_to_draft_with_it(pair, tmp_path):
    """EAGLE's and EAGLE-3's, as a draft and as a target: `--drafter eagle`."""
    for number, weights in enumerate((heads.eagle(), heads.eagle3())):
        folder = str(heads.write(tmp_path / str(number), weights))
        for side in ("draft", "target"):
            with pytest.raises(UsageError, match="is a head on the target's") as raised:
                runs.events(pair, **{side: folder})
            assert "--drafter eagle" in raised.value.hint


def test_a_model_given_as_a_head_is_told_before_its_weights_are_read(pair, monkeypatch):
    """By its header alone."""
    monkeypatch.setattr("specprof.engine.heads.published.load_file", None)
    with pytest.raises(UsageError, match="is no EAGLE or EAGLE-3 head"):
        runs.events(pair, drafter="eagle")


def test_weights_beyond_memory_are_refused_before_any_is_loaded(pair, monkeypatch):
    """Both models', with the caches and logits, are held against what is free."""
    monkeypatch.setattr(loading, "_loaded", {})
    monkeypatch.setattr(fits, "_available", lambda _device: 100_000)
    monkeypatch.setattr(loading.AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises(EnvironmentMissing, match="the weights"):
        runs.events(pair)
    with pytest.raises(EnvironmentMissing, match="the weights"):
        runs.events(pair, backend="native", load_format="dummy")


def test_a_depth_beyond_memory_is_refused(pair, monkeypatch):
    """Its rows of logits are counted: 8 GB were taken first."""
    monkeypatch.setattr(fits, "_available", lambda _device: 2**30)
    spec = RunSpec(id="x", profile="test", settings=runs.settings(pair, depth=1_000_000))
    with pytest.raises(EnvironmentMissing, match="the logits of 1000001 rows"):
        next(Native().run(spec, []))


def test_an_id_that_is_nowhere_is_told_when_no_hub_is_reached(monkeypatch):
    """One question, no retries: `no local folder, and the hub can't be reached`."""
    monkeypatch.setattr(where, "trouble_with_hub", lambda _: "no network")
    with pytest.raises(
        EnvironmentMissing, match=r"no local folder, and the hub can.t be reached: no net"
    ):
        survey("nobody/no-such-model", Settings(), torch.float32)


def test_a_model_fetched_before_is_loaded_without_a_hub(sound, tmp_path, monkeypatch):
    """From the hub's cache, as it was left."""
    place = tmp_path / "models--org--name"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    shutil.copytree(sound, place / "snapshots" / "abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(where, "trouble_with_hub", lambda _: "no network")
    found = survey("org/name", Settings(), torch.float32)
    found.check_weights()
    assert found.options["local_files_only"]
    assert loading.load("org/name", Settings(), CPU).facts.layers == 2


def test_a_run_asks_the_hub_once_for_each_model(sound, tmp_path, monkeypatch):
    """It looks a model over before it loads it: what it found is what is loaded."""
    for name in ("one", "two"):
        place = tmp_path / f"models--org--{name}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text("abc")
        shutil.copytree(sound, place / "snapshots" / "abc")
    asked = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(where, "trouble_with_hub", lambda name: asked.append(name) or "no network")
    for _ in range(2):
        loading.survey_models(["org/one", "org/two", "org/one"], Settings(), CPU)
        for name in ("org/one", "org/two"):
            loading.load(name, Settings(), CPU)
    assert asked == ["org/one", "org/two"]


def test_a_model_that_looks_ahead_is_refused(tmp_path, monkeypatch):
    """An encoder's answers change with what follows: there is nothing to roll back to."""
    monkeypatch.setattr(loading, "_loaded", {})
    tiny.checkpoint(tmp_path)
    made = tiny.model("llama")
    real = type(made).forward

    def bidirectional(self, tokens, **given):
        out = real(self, tokens, **given)
        out.logits = out.logits + tokens.float().sum() * torch.arange(out.logits.shape[-1])
        return out

    monkeypatch.setattr(type(made), "forward", bidirectional)
    with pytest.raises(EnvironmentMissing, match="an answer changes with the tokens after it"):
        loading.load(str(tmp_path), Settings(), CPU)


def test_ends_that_no_token_is_end_nothing(copy):
    """An id past the vocabulary, or -1, can't be drawn."""
    (odd,) = [each for each in FILES if each.name == "generation eos far"]
    odd.make(copy)
    assert loading.load(str(copy), Settings(), CPU).stop_tokens == {0}


def test_a_folder_nobody_may_read_is_told(copy):
    """Permission is asked before the file is opened."""
    os.chmod(copy / "tokenizer.json", 0)  # noqa: PTH101 - root reads it all the same
    if os.access(copy / "tokenizer.json", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(EnvironmentMissing, match="permission"):
        loading.load(str(copy), Settings(), CPU)
