"""transformers' own loops, watched from outside: they are left alone, and what is told is true."""

from itertools import pairwise

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

import tiny
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.backends.hf_assisted import HfAssisted
from specprof.backends.hf_generate import HfGenerate
from specprof.backends.hf_prompt_lookup import HfPromptLookup
from specprof.diagnosis import diagnose
from specprof.errors import UsageError
from specprof.findings import Crashed
from specprof.plan import stops
from specprof.records import Burst, Header, Note, Plain, Prefill, Round
from specprof.settings import RunSpec, Settings

TEXT = "the quick brown fox jumps over the lazy dog; " * 20
NEW = 14
PEERS = {
    "hf-assisted": (HfAssisted, {"drafter": "draft-model"}),
    "hf-prompt-lookup": (HfPromptLookup, {"drafter": "ngram"}),
    "hf-generate": (HfGenerate, {"drafter": "none"}),
}
RUNS = [(peer, temperature) for peer in PEERS for temperature in (0.0, 1.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    (made / "text.txt").write_text(TEXT)
    tiny.checkpoint(made / "target", seed=1)
    tiny.checkpoint(made / "draft", seed=1, num_hidden_layers=2)
    tiny.checkpoint(made / "sliding", "mistral", seed=1)
    tiny.checkpoint(made / "sliding-draft", "mistral", seed=1, num_hidden_layers=2)
    tiny.model("llama", 1, vocab_size=80).save_pretrained(made / "other")
    other_tokenizer().save_pretrained(made / "other")
    return made


@pytest.fixture(scope="module")
def walks(folder):
    return {run: events(folder, run[0], temperature=run[1]) for run in RUNS}


def other_tokenizer():
    """Fewer tokens, under other ids, and some of two letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pairs = ["th", "e ", "o", "qu", "ck"]
    letters = [chr(126 - i) for i in range(95)]
    words = list(dict.fromkeys([*pairs, " ", ";", *letters[4:31], *letters[31:]]))[:80]
    table = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, [], unk_token=" "))
    table.pre_tokenizer = pre_tokenizers.Split("", behavior="isolated")
    table.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=table, unk_token=" ")


def settings(folder, peer, **changed):
    given = {
        "backend": peer,
        "target": str(folder / "target"),
        "draft": str(folder / "draft"),
        "text": str(folder / "text.txt"),
        "device": "cpu",
        "threads": 1,
        "context": 200,
        "stops": 3,
        "max_new_tokens": NEW,
        "depth": 3,
        "plain_steps": 2,
        "ignore_eos": True,
    }
    return Settings(**(given | PEERS[peer][1] | changed))


def events(folder, peer, **changed):
    spec = RunSpec(id="x", profile="test", settings=settings(folder, peer, **changed))
    return list(PEERS[peer][0]().run(spec, ["run"]))


def kind(found, wanted):
    return [event for event in found if isinstance(event, wanted)]


def emitted(found, burst):
    rounds = [one for one in kind(found, Round) if one.burst == burst]
    return [token for one in rounds for token in one.emitted]


def bare(folder, tokens, asked, **options):
    """The same call without any of ours: no caches handed over, nothing wrapped."""
    model = AutoModelForCausalLM.from_pretrained(asked.target, dtype=torch.float32)
    model.generation_config = GenerationConfig()
    law = {"do_sample": False}
    if asked.temperature:
        law = {"do_sample": True, "temperature": asked.temperature, "top_k": 0, "top_p": 1.0}
    if asked.drafter == "draft-model":
        draft = AutoModelForCausalLM.from_pretrained(asked.draft, dtype=torch.float32)
        draft.generation_config = GenerationConfig(
            num_assistant_tokens=asked.depth,
            num_assistant_tokens_schedule="constant",
            assistant_confidence_threshold=0.0,
        )
        options["assistant_model"] = draft
    if asked.drafter == "ngram":
        options["prompt_lookup_num_tokens"] = asked.depth
        options["max_matching_ngram_size"] = asked.ngram
    prompt = torch.tensor([tokens])
    torch.manual_seed(asked.seed)
    made = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW, **law, **options
    )
    return made[0, len(tokens) :].tolist()


@pytest.mark.parametrize(("peer", "temperature"), RUNS)
def test_the_watched_call_emits_what_the_bare_call_does(folder, peer, temperature):
    """Token for token, and draw for draw: watching changes nothing of what transformers does."""
    asked = settings(folder, peer, temperature=temperature, stops=1)
    tokens = tiny.tokenizer()(TEXT)["input_ids"][:200]
    found = events(folder, peer, temperature=temperature, stops=1)
    assert emitted(found, 0) == bare(folder, tokens, asked)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("target", ["target", "sliding"])
def test_every_burst_of_a_greedy_walk_is_the_targets_own(folder, peer, target):
    """Caches handed on from stop to stop hold the text and nothing else, sliding windows too."""
    draft = "draft" if target == "target" else "sliding-draft"
    names = {"target": str(folder / target), "draft": str(folder / draft)}
    found = events(folder, peer, **names)
    plain = settings(folder, "hf-generate", **names)
    tokens = tiny.tokenizer()(TEXT)["input_ids"]
    for burst, context in enumerate(stops(plain)):
        assert emitted(found, burst) == bare(folder, tokens[:context], plain)
    fed = [one.fed for one in kind(found, Prefill)]
    assert fed == ([127, 32, 40] if target == "target" else [127, 159, 199])


@pytest.mark.parametrize(("peer", "temperature"), RUNS)
def test_the_figures_keep_the_identities(walks, peer, temperature):
    """Theory I1 to I3, bookkeeping of the caches, and times that add up."""
    found = walks[peer, temperature]
    rounds, bursts = kind(found, Round), kind(found, Burst)
    assert [one.index for one in rounds] == list(range(len(rounds)))
    for one in rounds:
        assert one.target_forwards == 1
        assert one.draft_forwards == (len(one.drafted) if peer == "hf-assisted" else 0)
        assert one.target_length == one.context + len(one.emitted) - 1
        stood = [each.token for each in one.drafted if each.accepted]
        assert one.accepted == len(stood) <= len(one.drafted) <= one.depth_asked
        assert one.emitted[: one.accepted] == stood
        reached = [each.reached for each in one.drafted]
        assert sum(reached) <= one.accepted + 1
        assert reached == sorted(reached, reverse=True)
        top = [span for span in one.spans if span.parent is None]
        assert 0 <= one.wall_ns - sum(span.ns for span in top)
        drafted = [] if peer == "hf-generate" else ["draft"]
        assert [span.name for span in top] == [*drafted, "verify", "accept"]
    for burst in bursts:
        own = [one for one in rounds if one.burst == burst.burst]
        assert all(len(one.emitted) == one.accepted + 1 for one in own[:-1])
        assert len(own[-1].emitted) in {own[-1].accepted, own[-1].accepted + 1}
        assert sum(len(one.emitted) for one in own) == burst.emitted == NEW
        assert len(own) == burst.rounds
        fill = next(one for one in kind(found, Prefill) if one.burst == burst.burst)
        assert 0 <= burst.wall_ns - fill.wall_ns - sum(one.wall_ns for one in own)
    plains = kind(found, Plain)
    assert [len(one.steps_ns) for one in plains] == ([] if peer == "hf-generate" else [2, 2, 2])


def test_the_header_and_notes_say_what_is_known(walks):
    """No claim of losslessness, the rule transformers judges by, and why there is no evidence."""
    found = walks["hf-prompt-lookup", 1.0]
    header = kind(found, Header)[0]
    assert (header.acceptance, header.lossless, header.draft) == ("exact-match", None, None)
    notes = " ".join(note.text for note in kind(found, Note))
    assert "no probabilities" in notes
    assert "may not be lossless" in notes
    assert all(each.seen is None for one in kind(found, Round) for each in one.drafted)
    assert kind(walks["hf-assisted", 0.0], Header)[0].acceptance == "greedy"


def test_a_draft_that_is_its_own_target_stands(folder):
    """One model in both parts: its passes are told apart by who asked for them."""
    found = events(folder, "hf-assisted", draft=str(folder / "target"), stops=1)
    rounds = kind(found, Round)
    assert [len(one.emitted) for one in rounds] == [4, 4, 4, 2]
    assert [one.draft_forwards for one in rounds] == [3, 3, 3, 1]
    assert [one.target_forwards for one in rounds] == [1] * 4
    assert all(one.accepted == len(one.drafted) for one in rounds)


def test_an_end_of_text_ends_a_burst(folder):
    """The round that holds it is cut there, and no later one is told."""
    tokens = tiny.tokenizer()(TEXT)["input_ids"][:200]
    asked = settings(folder, "hf-generate")
    third = bare(folder, tokens, asked)[2]
    model = AutoModelForCausalLM.from_pretrained(folder / "target", dtype=torch.float32)
    model.generation_config.eos_token_id = third
    model.save_pretrained(folder / "ending")
    tiny.tokenizer().save_pretrained(folder / "ending")
    for peer in PEERS:
        ending = {"target": str(folder / "ending"), "stops": 1, "ignore_eos": False}
        found = events(folder, peer, **ending)
        burst = kind(found, Burst)[0]
        assert burst.finish == "eos"
        assert emitted(found, 0)[-1] == third
        assert emitted(found, 0).count(third) == 1
        assert burst.emitted == len(emitted(found, 0)) <= 3


def test_the_heuristic_moves_k_as_transformers_does(folder):
    """Two more after a round that stood, one less after a rejection; carried to the next burst."""
    found = events(folder, "hf-assisted", depth_policy="hf-heuristic", max_new_tokens=30)
    rounds = kind(found, Round)
    assert rounds[0].depth_asked == 3
    for one, after in pairwise(rounds):
        stood = one.accepted == len(one.drafted)
        moved = one.depth_asked + 2 if stood else max(1, one.depth_asked - 1)
        assert after.depth_asked == moved
    assert len({one.depth_asked for one in rounds}) > 2


def test_confidence_stops_after_a_token_the_draft_doubts(folder):
    """All drafted tokens but the last have the confidence asked for; a doubted one is the last."""
    found = events(folder, "hf-assisted", depth_policy="confidence", confidence=0.6, depth=6)
    draft = AutoModelForCausalLM.from_pretrained(folder / "draft", dtype=torch.float32)
    text = tiny.tokenizer()(TEXT)["input_ids"]
    short = 0
    for burst, context in enumerate([128, 160, 200]):
        known = text[:context] + emitted(found, burst)
        for one in (each for each in kind(found, Round) if each.burst == burst):
            tokens = [each.token for each in one.drafted]
            laws = draft(torch.tensor([known[: one.context] + tokens])).logits[0].softmax(-1)
            sure = [laws[one.context - 1 + i, token].item() for i, token in enumerate(tokens)]
            assert all(each >= 0.6 for each in sure[:-1])
            room = context + NEW - one.context - 1
            if len(tokens) < min(6, room):
                short += 1
                assert sure[-1] < 0.6
    assert short > 3


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_different_tokenizers_are_run_through_and_marked(folder, temperature):
    """transformers re-tokenises; the draft's first pass over the text is prefill, not drafting."""
    other = {"draft": str(folder / "other"), "temperature": temperature}
    found = events(folder, "hf-assisted", **other)
    assert any("re-tokenises" in note.text for note in kind(found, Note))
    plain = settings(folder, "hf-generate")
    tokens = tiny.tokenizer()(TEXT)["input_ids"]
    for burst, context in enumerate(stops(plain)):
        assert len(emitted(found, burst)) == NEW
        if not temperature:
            assert emitted(found, burst) == bare(folder, tokens[:context], plain)
    for fill in kind(found, Prefill):
        assert [span.name for span in fill.spans] == ["prefill-target", "prefill-draft"]
    rounds = kind(found, Round)
    assert all(one.target_forwards == 1 for one in rounds)
    assert all(span.start_ns >= 0 for one in rounds for span in one.spans)


def test_sampling_across_vocabularies_leaves_the_draft_whole(folder):
    """transformers cuts the draft's ends to the shared tokens; after the run they are back."""
    backend, asked = HfAssisted(), settings(folder, "hf-assisted", draft=str(folder / "other"))
    asked = Settings(**{f: getattr(asked, f) for f in asked.__struct_fields__} | {"temperature": 1})
    run = backend.run(RunSpec(id="x", profile="test", settings=asked), [])
    for event in run:
        if isinstance(event, Round):
            break
    run.close()
    assert backend.draft.model.get_output_embeddings().weight.shape[0] == 80
    assert isinstance(backend.draft.model.get_input_embeddings(), torch.nn.Embedding)


def test_a_pair_transformers_would_take_for_alike_is_refused(folder):
    """Equal widths but other tokens: it would feed the target's ids to the draft as they are."""
    tiny.model("llama", 2).save_pretrained(folder / "alike")
    tiny.tokenizer(extra="§").save_pretrained(folder / "alike")
    with pytest.raises(UsageError, match="different vocabularies"):
        events(folder, "hf-assisted", draft=str(folder / "alike"))


def wrapped(backend):
    """Whatever of ours is still on the models."""
    left = []
    for loaded in (backend.target, backend.draft):
        own = vars(loaded.model)
        left += [own[name] for name in ("prepare_inputs_for_generation", "_get_candidate_generator")
                 if name in own]  # fmt: skip
        left += [*own["_forward_hooks"].values(), *own["_forward_pre_hooks"].values()]
        left += [own["generation_config"]] if own["generation_config"].bos_token_id is None else []
    return left


def test_nothing_stays_wrapped_after_a_run_is_closed(folder):
    """Closing in the middle gives the models back as they were."""
    backend, asked = HfAssisted(), settings(folder, "hf-assisted")
    run = backend.run(RunSpec(id="x", profile="test", settings=asked), [])
    for event in run:
        if isinstance(event, Round):
            break
    before = vars(backend.draft.model)["generation_config"]
    assert before.num_assistant_tokens == 3
    run.close()
    assert wrapped(backend) == []
    assert vars(backend.draft.model)["generation_config"].num_assistant_tokens is None


def test_nothing_stays_wrapped_after_a_failure(folder, monkeypatch):
    """An error in the middle of transformers' loop comes through, and the models are as before."""
    from transformers.generation.candidate_generator import AssistedCandidateGenerator

    def fail(*_, **__):
        raise KeyboardInterrupt

    backend, asked = HfAssisted(), settings(folder, "hf-assisted")
    run = backend.run(RunSpec(id="x", profile="test", settings=asked), [])
    next(run)
    monkeypatch.setattr(AssistedCandidateGenerator, "update_candidate_strategy", fail)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert wrapped(backend) == []


@pytest.mark.parametrize(
    ("peer", "changed", "named"),
    [
        ("hf-assisted", {"drafter": "ngram"}, "--drafter ngram"),
        ("hf-assisted", {"depth_policy": "survival"}, "fixed or hf-heuristic or confidence"),
        ("hf-prompt-lookup", {"depth_policy": "confidence"}, "it supports fixed"),
        ("hf-assisted", {"cache": "sink-window"}, "--cache sink-window"),
        ("hf-assisted", {"draft_cache": "sink-window"}, "--draft-cache sink-window"),
        ("hf-assisted", {"shape": "static-tree"}, "it supports chain"),
        ("hf-assisted", {"batch": 2}, "--batch 2"),
        ("hf-assisted", {"workload": "ppl"}, "walk or generate"),
        ("hf-assisted", {"acceptance": "typical"}, "auto or greedy"),
        ("hf-assisted", {"depth": 0}, "hf-generate"),
        ("hf-assisted", {"draft": None}, "--draft"),
    ],
)
def test_what_its_loop_can_not_do_is_refused_early(folder, peer, changed, named):
    """With what it can: before any model is loaded."""
    with pytest.raises(UsageError) as refused:
        events(folder, peer, **changed)
    assert named in str(refused.value)


def test_detail_off_keeps_the_totals_only(folder):
    """Bursts are told, rounds are not."""
    found = events(folder, "hf-assisted", detail="off")
    assert kind(found, Round) == []
    assert [one.emitted for one in kind(found, Burst)] == [NEW] * 3
    assert all(one.rounds > 0 for one in kind(found, Burst))


@pytest.mark.parametrize(("peer", "temperature"), RUNS)
def test_a_healthy_peer_is_accused_of_no_bug(walks, peer, temperature):
    """What it doesn't tell makes verdicts unknown, not wrong; no rule crashes on it."""
    columns = Columns()
    columns.feed(walks[peer, temperature])
    diagnosis = diagnose(Evidence(columns, live=True))
    assert not [each.rule for each in diagnosis.found if each.family == "bug"]
    assert not [each.rule for each in diagnosis.verdicts if isinstance(each.outcome, Crashed)]
