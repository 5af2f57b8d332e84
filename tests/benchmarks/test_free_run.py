"""The arithmetic of a free run's account, and two engines playing in turns."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

import proofs
from specprof.records import Round, Sample
from specprof.settings import Settings

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import free_run  # noqa: E402 - scripts, found where the line above says


def rounds(contexts, kv_per_token=(12, 3)):
    target, draft = kv_per_token
    return [
        Round(
            index=number,
            context=context,
            depth_asked=4,
            accepted=0,
            emitted=[0],
            start_ns=100 * number,
            wall_ns=90,
            target_kv_bytes=target * context,
            draft_kv_bytes=draft * context,
        )
        for number, context in enumerate(contexts)
    ]


def test_a_process_is_read_at_the_round_it_was_in():
    """From the first stretch on; by then whatever is made once has been made."""
    seen = [(50, 5_000_000), (110, 7_000_000), (250, 7_010_000), (399, 7_020_000)]
    samples = [Sample(at_ns=at, rss_bytes=rss) for at, rss in seen]
    told = free_run.measure_growth([*samples, *rounds([10, 1_000, 2_000, 3_000])], since=1_000)
    assert told["readings"] == 3
    assert told["rss_bytes_per_token"] == pytest.approx(10)
    assert told["kv_bytes_per_token"] == pytest.approx(15)
    assert (told["rss_mb_first"], told["rss_mb_last"]) == (7.0, 7.02)
    assert (told["kv_mb_first"], told["kv_mb_last"]) == (0.015, 0.045)
    assert told["rss_mb_most"] == 7.02


def test_a_growing_process_is_told_from_growing_rows():
    """A leak of 100 bytes a token, over rows that were there from the start."""
    contexts = list(range(1_000, 5_000, 40))
    samples = [
        Sample(at_ns=100 * number + 1, rss_bytes=10**9 + 100 * context)
        for number, context in enumerate(contexts)
    ]
    told = free_run.measure_growth([*rounds(contexts), *samples], since=0)
    assert told["readings"] == len(contexts)
    assert told["rss_bytes_per_token"] == pytest.approx(100)


@pytest.mark.parametrize("samples", [[], [Sample(at_ns=110, rss_bytes=1)], [Sample(at_ns=110)]])
def test_too_few_readings_tell_nothing(samples):
    """None, and no slope through one point."""
    told = free_run.measure_growth([*rounds([10, 1_000]), *samples], since=0)
    assert told.pop("readings") == sum(each.rss_bytes is not None for each in samples)
    assert set(told.values()) == {None}


class Counted:
    """Stands in for a player: says who played, and takes as long as it is told."""

    def __init__(self, name, order, ms):
        self.name, self.order, self.ms = name, order, ms

    def play_block(self):
        self.order.append(self.name)
        return free_run.Block(len(self.order), 10, 25, int(10 * self.ms * 1e6))


def test_old_and_fresh_play_in_mirrored_order():
    """Each pair is old and fresh, whoever began; the first pair only warms up."""
    order = []
    pairs = free_run.play_in_turns(Counted("1", order, 3.0), Counted("2", order, 2.0), 4)
    assert "".join(order) == "12" + "21" + "12" + "21" + "12"
    assert [(old.ms_per_round, fresh.ms_per_round) for old, fresh in pairs] == [(3.0, 2.0)] * 4
    assert [old.context for old, _ in pairs] == [4, 5, 8, 9]


def blocks(*paces, rounds=10, emitted=25):
    return tuple(free_run.Block(100, rounds, emitted, int(each * rounds * 1e6)) for each in paces)


def test_age_is_old_over_fresh_within_a_pair():
    """A machine that slows down falls on both of a pair."""
    pairs = [blocks(1.1 * pace, pace) for pace in (2.0, 2.0, 8.0, 2.0, 4.0, 2.0)]
    told = free_run.compare_ages(pairs)
    ratio = told["old_ms_over_fresh_ms"]
    assert (ratio.value, ratio.low, ratio.high, ratio.n) == pytest.approx((1.1, 1.1, 1.1, 6))
    assert told["fresh_ms_per_round"].value == 2.0
    assert told["old_emitted_per_round"] == 2.5


def test_context_alone_is_fresh_over_the_first_fresh():
    """And what old took over its first is held beside it."""
    early, later = (free_run.compare_ages([blocks(*pace)] * 6) for pace in ((2.0, 2.0), (9.0, 6.0)))
    told = free_run.add_growth([early, later])
    assert told[0]["old_ms_over_first_stretch"] == 1.0
    assert told[1]["old_ms_over_first_stretch"] == 4.5
    assert told[1]["fresh_ms_over_first_stretch"] == 3.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    family = proofs.family(tmp_path_factory.mktemp("free"))
    return msgspec.structs.replace(
        proofs.asked({}, family), workload="generate", context=40, max_new_tokens=900, path="flat"
    )


def test_a_fresh_engine_goes_on_as_the_old_one_does(settings, tmp_path):
    """Taken to its text by prefill, it emits the tokens that the old one emits next."""
    old, fresh = (free_run.Player(settings, tmp_path / name) for name in ("old", "fresh"))
    with old.writer, fresh.writer:
        old.begin(old.run.tokens[: settings.context])
        for _ in range(2):  # the second time it forgets what it had
            old.play_block(4)
            fresh.begin(old.committed)
            places = [len(each.committed) for each in (old, fresh)]
            found = [each.play_block(6) for each in (old, fresh)]
            assert places[0] == places[1] == found[0].context == found[1].context
            assert [each.rounds for each in found] == [6, 6]
            assert old.committed == fresh.committed
            assert len(old.committed) == places[0] + found[0].emitted
    told = (tmp_path / "old").read_text(encoding="utf-8").splitlines()
    assert sum('"event":"round"' in line for line in told) == 20


def test_the_long_run_is_compared_at_every_stretch(settings):
    """And goes on between them in one go."""
    found = free_run.compare_stretches(settings, [60, 120], 1)
    assert [each["stretch"] for each in found] == [60, 120]
    for each in found:
        assert each["old_context"] >= each["stretch"]
        assert each["old_ms_over_fresh_ms"].value > 0
        assert each["old_emitted_per_round"] >= 1


def test_everything_is_written_and_fits_a_screen(monkeypatch, tmp_path, capsys):
    """The stretches are those that were reached; the run beyond the last has room."""
    asked = {}

    def compared(settings, stretches, pairs):
        asked.update(settings=settings, stretches=stretches, pairs=pairs)
        return free_run.add_growth(
            [{"stretch": 500} | free_run.compare_ages([blocks(2.0, 2.0)] * 6)]
        )

    monkeypatch.setattr(free_run, "record_alone", lambda settings: tuple(rounds([10, 1_000])))
    monkeypatch.setattr(free_run, "compare_stretches", compared)
    free_run.main(["--tokens=700", "--stretches", "900", "500", f"--into={tmp_path}"])
    told = json.loads((tmp_path / "free_run.json").read_text(encoding="utf-8"))
    assert asked["stretches"] == [500]
    room = asked["settings"].max_new_tokens - 700
    assert room >= (free_run.BLOCK_PAIRS + 1) * free_run.BLOCK_ROUNDS * (Settings().depth + 1)
    assert told["settings"]["max_new_tokens"] == 700
    assert told["stretches"][0]["old_ms_over_fresh_ms"]["value"] == 1.0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_the_run_by_itself_is_the_same_run(settings, monkeypatch):
    """Whatever is asked other than by default is asked of the command line too."""
    commands = []

    def run(command, **_):
        commands.append(command)

    monkeypatch.setattr(free_run.subprocess, "run", run)
    monkeypatch.setattr(free_run, "read_capture", lambda place: SimpleNamespace(events=[1, 2]))
    asked = Settings(
        device="cpu",
        workload="generate",
        context=40,
        max_new_tokens=7,
        temperature=0.5,
        draft_cache="sink-window",
        window=32,
        path="flat",
        threads=1,
        ignore_eos=True,
        plain_steps=0,
        recheck_context=0,
    )
    assert free_run.record_alone(asked) == (1, 2)
    (command,) = commands
    told = dict(each.split("=") for each in command if "=" in each)
    fields = {name: str(getattr(asked, name)) for name in Settings.__struct_fields__}
    other = {name for name, value in fields.items() if value != str(getattr(Settings(), name))}
    assert told.items() <= fields.items()
    assert other <= told.keys() | {"ignore_eos"}
    assert "--ignore-eos" in command


def test_a_block_ends_with_the_run(settings, tmp_path):
    """A block asked beyond the room has as many rounds as there are, and says so."""
    short = msgspec.structs.replace(settings, max_new_tokens=5)
    player = free_run.Player(short, tmp_path / "short")
    with player.writer:
        player.begin(player.run.tokens[: short.context])
        found = player.play_block(50)
    assert found.emitted == 5
    assert found.rounds <= 5
