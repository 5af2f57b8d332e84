"""The real engine, on tiny checkpoints, is accused of nothing either."""

import pytest

import tiny
from specprof.analysis.columns import Columns
from specprof.analysis.evidence import Evidence
from specprof.backends.native import Native
from specprof.diagnosis import diagnose
from specprof.records import RunSpec, Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    (made / "text.txt").write_text("the quick brown fox jumps over the lazy dog; " * 60)
    tiny.checkpoint(made / "target", seed=1)
    tiny.checkpoint(made / "draft", seed=1, num_hidden_layers=2)
    return made


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("draft", ["draft", "target"])
def test_a_sound_engine_is_accused_of_no_bug(folder, draft, temperature):
    """Seeded; the statistical tests together accuse 1 in 100 such runs at most."""
    settings = Settings(
        target=str(folder / "target"),
        draft=str(folder / draft),
        text=str(folder / "text.txt"),
        device="cpu",
        threads=1,
        context=300,
        stops=6,
        max_new_tokens=40,
        temperature=temperature,
        ignore_eos=True,
    )
    columns = Columns()
    columns.feed(list(Native().run(RunSpec(id="x", profile="t", settings=settings), [])))
    diagnosis = diagnose(Evidence(columns, live=True))
    assert not [each.rule for each in diagnosis.found if each.family == "bug"]
    assert "no implementation bug shows" in diagnosis.sentence
    assert diagnosis.attribution.state.frac.value == pytest.approx(0, abs=1e-3)
    if draft == "target":
        assert diagnosis.attribution.rejected.frac.value == 0
