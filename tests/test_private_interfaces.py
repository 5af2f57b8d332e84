"""torch and transformers may drop unpromised parts: a run is slower then, or refused in a line.

docs/private-interfaces.md lists all of it; here each is taken away.
"""

import contextlib
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import GenerationMixin
from transformers.generation import candidate_generator
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

import runs
import tiny
from specprof.backends.hf_assisted import HfAssisted
from specprof.backends.hf_generate import HfGenerate
from specprof.drafters import layer_skip
from specprof.engine import releases
from specprof.engine.flat import decoder
from specprof.engine.flat.proof import choose_path
from specprof.engine.recheck import reference
from specprof.engine.setup.model_facts import rotation_configured
from specprof.engine.stores.rotation import rotations
from specprof.engine.stores.window import Window
from specprof.errors import EnvironmentMissing, UsageError
from specprof.records import Header, Round
from specprof.settings import RunSpec

ROOT = Path(__file__).parent.parent
LISTED = (ROOT / "docs" / "private-interfaces.md").read_text()
OF_OUR_OWN = {
    "engine/heads/conventions.py",
    "engine/instruments/stopwatch.py",
    "faults/_rounds.py",
    "faults/perf/two_target_forwards.py",
    "faults/stop/length_overshoot.py",
}
"""Files that look inside classes of ours."""
INSIDE = re.compile(
    r"SLF001|(from|import) transformers\.(\w+\.)*(modeling_|cache_utils|activations|models)"
    r"|candidate_generator"
)
SMALL = {"stops": 1, "context": 60, "max_new_tokens": 6, "recheck_context": 0}


@pytest.fixture
def fresh(tmp_path):
    """Return a pair that was never loaded: facts found out about a model are kept with it."""
    return runs.write_pair(tmp_path)


def played(pair, **changed):
    """Return a run's header, and the tokens it emitted."""
    events = runs.events(pair, **(SMALL | changed))
    (header,) = runs.kind(events, Header)
    return header, [token for one in runs.kind(events, Round) for token in one.emitted]


def peer(kind, pair, **changed):
    """Run a backend that watches transformers' own loop."""
    asked = runs.settings(pair, **(SMALL | {"backend": "hf-assisted"} | changed))
    return list(kind().run(RunSpec(id="x", profile="test", settings=asked), ["run"]))


@pytest.mark.parametrize("name", ["_create_graph_by_tracing", "_create_function_from_graph"])
def test_without_tracing_nothing_is_replayed(pair, fresh, monkeypatch, name):
    """The tokens are the same, but slower; the capture says why, and `graphs` on is refused."""
    _, tokens = played(pair)
    monkeypatch.delattr(torch._C, name)
    header, slower = played(fresh)
    assert slower == tokens
    assert header.target.graphs is header.draft.graphs is False
    assert re.fullmatch(rf"recording failed: .*{name}.*", header.target.graphs_reason)
    with pytest.raises(UsageError, match=f"graphs were asked for: recording failed: .*{name}"):
        played(fresh, graphs="on")


def test_without_a_module_s_hooks_the_modules_run(pair, fresh, monkeypatch):
    """The flat path asks torch for them in each layer."""
    _, tokens = played(pair)

    def gone(*_):
        raise AttributeError("no _forward_hooks")

    monkeypatch.setattr(decoder, "_call_hooks", gone)
    header, slower = played(fresh)
    assert slower == tokens
    assert header.target.path == "modules"
    assert header.target.path_reason == "reading it failed: AttributeError: no _forward_hooks"


def test_without_named_masks_a_cpu_runs_flat_and_a_gpu_by_modules(monkeypatch):
    """A GPU's kernels know the mask by name; without the name, the flat path can't be used."""
    monkeypatch.setitem(sys.modules, "torch.nn.attention.bias", None)
    decoder._lower_right.cache_clear()
    assert choose_path(tiny.model("llama"), "auto").path == "flat"
    as_on_a_gpu = lambda self, count, seen, *_: decoder._lower_right(count, seen)  # noqa: E731
    monkeypatch.setattr(decoder.Flat, "_causal", as_on_a_gpu)
    taken = choose_path(tiny.model("llama"), "auto")
    assert taken.path == "modules"
    assert taken.path_reason.startswith("reading it failed: ModuleNotFoundError: ")


@pytest.mark.parametrize(
    "name", ["transformers.cache_utils", "transformers.models.llama.modeling_llama"]
)
def test_a_release_without_what_is_built_upon_is_refused_in_a_line(monkeypatch, name):
    """The program refuses it at its start, before anything is loaded."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Exception, match="specprof doesn't fit transformers") as refused:
        runpy.run_path(releases.__file__)
    assert isinstance(refused.value, EnvironmentMissing)
    assert name in refused.value.title
    assert "\n" not in refused.value.title


def test_attention_that_can_t_be_replaced_says_how_to_do_without(monkeypatch):
    """A recheck of an evicting cache needs its own attention, by transformers' switch."""
    monkeypatch.setattr(reference, "replace_attention", lambda *_: contextlib.nullcontext())
    model = tiny.model("llama")
    plain = reference.Windowed(model, rotations(model), Window(2, 8))
    with pytest.raises(UsageError, match="LlamaForCausalLM can't be replaced") as refused:
        plain(torch.tensor([[1, 2, 3]]), use_cache=False)
    assert "--recheck-context 0" in refused.value.hint


def test_without_the_list_of_scalings_theirs_are_unknown_and_others_are_not(monkeypatch):
    """The configured scaling can't be compared then, and nothing is made up."""
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}
    asked = [
        CONFIG_MAPPING["llama"](**(tiny.SHAPE | given))
        for given in ({}, {"rope_parameters": scaled})
    ]
    assert all(map(rotation_configured, asked))
    monkeypatch.delattr("transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS")
    assert [bool(rotation_configured(each)) for each in asked] == [True, False]


@pytest.mark.parametrize("name", ["_get_candidate_generator", "prepare_inputs_for_generation"])
@pytest.mark.parametrize("backend", [HfAssisted, HfGenerate])
def test_a_generate_of_other_parts_is_not_watched(fresh, monkeypatch, name, backend):
    """The error names the part, the release, and a backend that does not need it."""
    drafter = {} if backend is HfAssisted else {"drafter": "none", "backend": "hf-generate"}
    monkeypatch.delattr(GenerationMixin, name)
    with pytest.raises(EnvironmentMissing, match=f"can't be watched: .* has no {name}") as refused:
        peer(backend, fresh, **drafter)
    assert "--backend native" in refused.value.title


def test_a_generate_that_feeds_otherwise_is_not_watched(fresh, monkeypatch):
    """It needs the length that says how much to feed; without it, a round would feed all."""

    def prepare(self, input_ids, **rest):
        raise AssertionError("never asked")

    monkeypatch.setattr(GenerationMixin, "prepare_inputs_for_generation", prepare)
    with pytest.raises(EnvironmentMissing, match="takes no next_sequence_length"):
        peer(HfAssisted, fresh)


@pytest.mark.parametrize("name", ["assistant_kwargs", "num_assistant_tokens"])
def test_a_candidate_generator_of_other_parts_is_not_watched(fresh, monkeypatch, name):
    """Otherwise drafts would be made from an empty cache, or K be recorded as 0."""
    assisted = candidate_generator.AssistedCandidateGenerator
    rightly = assisted.__init__

    def made(self, *given, **named):
        rightly(self, *given, **named)
        delattr(self, name)

    monkeypatch.setattr(assisted, "__init__", made)
    with pytest.raises(EnvironmentMissing, match=f"AssistedCandidateGenerator has no {name}"):
        peer(HfAssisted, fresh)


@pytest.mark.parametrize("gone", ["AssistantVocabTranslatorCache", "_cache"])
def test_where_nothing_is_kept_of_a_pair_nothing_is_forgotten(monkeypatch, gone):
    """The draft still gets its own embeddings and output matrix back."""
    owner = candidate_generator
    if gone == "_cache":
        owner = candidate_generator.AssistantVocabTranslatorCache
    monkeypatch.delattr(owner, gone)
    draft = tiny.model("llama")
    ends = draft.get_input_embeddings(), draft.get_output_embeddings()
    draft.set_output_embeddings(torch.nn.Linear(1, 1))
    backend = HfAssisted()
    backend.draft, backend.target = SimpleNamespace(model=draft), SimpleNamespace(tokenizer=None)
    backend._restore_embeddings(*ends)
    assert draft.get_output_embeddings() is ends[1]


def test_where_modules_are_kept_otherwise_no_layer_is_skipped(monkeypatch):
    """The error names a drafter that does not need it."""
    monkeypatch.setattr(layer_skip, "vars", lambda _: {}, raising=False)
    with pytest.raises(UsageError, match="layer-skip can't take a LlamaForCausalLM") as refused:
        layer_skip.first_layers(tiny.model("llama"), 1)
    assert "draft-model" in refused.value.hint


def test_the_list_names_every_file_that_looks_inside():
    """The source is searched for the marks that ruff and readers know such places by."""
    found = {
        path.relative_to(ROOT / "specprof").as_posix()
        for path in (ROOT / "specprof").rglob("*.py")
        if INSIDE.search(path.read_text())
    }
    named = set(re.findall(r"`([a-z_/]+\.py)`", LISTED))
    assert OF_OUR_OWN <= found
    assert found - OF_OUR_OWN - named == set()
    places = [ROOT / "specprof", ROOT / "tests"]
    assert [each for each in named if not any((place / each).exists() for place in places)] == []
