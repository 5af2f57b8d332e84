"""The short form of the search, what was found before, and whether the search sees what is bad."""

import json
import sys
import time
import warnings
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from hypothesis import given

from fuzzing import edits, search, watched
from fuzzing.edits import AllLines, Assigned, Byte, Node, Whole, Word, apply_edits
from fuzzing.hunt import DAMAGE, Found, Hunt, Tally, cut_at_each, hunt
from fuzzing.readers import CAPTURE, READERS, Reader
from fuzzing.search import CUT_CAPTURE, Line, Search, list_cut_lines
from fuzzing.seeds import FOUND, SEEDS, corpus, seeds
from fuzzing.watched import Bad, bounded_memory
from specprof.errors import UsageError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import fuzz  # noqa: E402 - a script, found where the line above says

EXAMPLES = 12
SHORT = [
    (reader, path)
    for reader, path in corpus()
    if reader.cheap or reader.damage or path.name.startswith(f"{reader.name}-")
]
"""Whole diagnoses of all the others are in the long form."""


@pytest.fixture(autouse=True)
def _bounded():
    with bounded_memory():
        yield


# --- the search --------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_nothing_bad_is_found(reader):
    """In a few inputs, the same ones every time."""
    tally = hunt(reader, 0, examples=EXAMPLES)
    assert tally.inputs >= EXAMPLES // 2
    assert {kind: each.told for kind, each in tally.found.items()} == {}


@pytest.mark.parametrize(
    ("reader", "path"), SHORT, ids=[f"{reader.name} {path.name}" for reader, path in SHORT]
)
def test_what_was_bad_once_is_so_no_more(reader, path, tmp_path):
    """Each file of the corpus is read, or refused with a clear word."""
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    watched.watch(reader.read, copy)


@pytest.mark.parametrize("reader", search.CUT_READERS.values())
def test_a_capture_may_end_after_any_byte(reader, tmp_path):
    """Some of them here; the header cut off is refused, all else is read."""
    data = (SEEDS / CUT_CAPTURE).read_bytes()
    header = data.index(b"\n") + 1
    lengths = [*range(0, len(data), 499), header - 1, header, header + 1, len(data)]
    tally = cut_at_each(READERS[reader], data, lengths, tmp_path)
    assert {kind: each.told for kind, each in tally.found.items()} == {}
    assert tally.inputs == len(lengths)
    assert tally.refused == sum(length < header for length in lengths)


@pytest.mark.parametrize("path", sorted(SEEDS.iterdir()), ids=lambda path: path.name)
def test_every_seed_is_read(path, tmp_path):
    """And none of the captures is accused of a bug: the search rests on that."""
    known = [reader for reader in READERS.values() if path.name in seeds(reader.of)]
    assert known
    for reader in known:
        if reader.cheap or reader.damage:
            copy = tmp_path / path.name
            copy.write_bytes(path.read_bytes())
            assert watched.watch(reader.read, copy)


# --- edits -------------------------------------------------------------------------------------

LINES = [b'{"event":"header","a":1}\n', b'{"event":"x","b":[1,2]}\n', b'{"event":"x","b":[]}\n']


@pytest.mark.parametrize(
    ("edit", "made"),
    [
        (Whole("lost", 0, 0), [LINES[0], LINES[2]]),
        (Whole("doubled", 1, 0), [*LINES, LINES[2]]),
        (Whole("moved", 0, 1), [LINES[0], LINES[2], LINES[1]]),
        (Whole("cut", 0, 5), [LINES[0], b'{"eve\n', LINES[2]]),
        (Whole("ended", 0, 5), [LINES[0], b'{"eve']),
        (Whole("joined", 0, 0), [LINES[0], LINES[1][:-1] + LINES[2]]),
        (AllLines("reversed"), [LINES[0], LINES[2], LINES[1]]),
        (AllLines("told twice"), [LINES[0], LINES[1], LINES[1], LINES[2], LINES[2]]),
        (Node("set", 0, 1, 7, everywhere=False), [b'{"event":"header","a":7}\n', *LINES[1:]]),
        (Node("dropped", 0, 1, None, everywhere=False), [b'{"event":"header"}\n', *LINES[1:]]),
        (
            Node("scaled", 1, 2, -2, everywhere=True),
            [LINES[0], b'{"event":"x","b":[-2,2]}\n', LINES[2]],
        ),
        (
            Node("nested", 0, 2 * 4 + 1, None, everywhere=False),
            [b'{"event":"header","a":' + b"[" * 200 + b"]" * 200 + b"}\n", *LINES[1:]],
        ),
        (
            Node("like", 0, 1, None, everywhere=False, other=7),
            [b'{"event":"header","a":1000000}\n', *LINES[1:]],
        ),
        (Word(0, None), [b'{{"event":"header","a":1}\n', *LINES[1:]]),
        (Byte(0, b"\xff", 2), [b'\xffevent":"header","a":1}\n', *LINES[1:]]),
    ],
)
def test_an_edit_does_what_it_says(edit, made):
    """Places are taken modulo what is there, so that each fits every file."""
    assert apply_edits(LINES, [edit]) == b"".join(made)


def test_a_value_is_assigned_anew():
    """In a line that assigns one."""
    edit = Assigned(3, "true")
    assert apply_edits([b"[run]\n", b"a = 1\n", b"b = 2\n"], [edit]) == b"[run]\na = 1\nb = true\n"


def test_a_change_is_made_in_all_lines_of_a_kind():
    """Where they have such a place."""
    edit = Node("set", 1, 1, 0, everywhere=True)
    assert apply_edits(LINES, [edit]) == LINES[0] + b'{"event":"x","b":0}\n' * 2


@given(DAMAGE)
def test_damage_leaves_the_other_lines_as_they_were(edit):
    """What accuses a damaged capture accuses it of its damage: no value was changed."""
    lines = seeds(CAPTURE)[CUT_CAPTURE]
    made = apply_edits(lines, [edit]).splitlines(keepends=True)
    assert made[0] == lines[0]
    assert sum(each not in lines for each in made) <= 1


# --- what is bad -------------------------------------------------------------------------------


def read_with(path, act):
    return watched.watch(lambda _: act(), path)


def hang():
    while True:
        time.sleep(0.01)


def caught_hang():
    try:
        hang()
    except Exception:  # noqa: BLE001 - as a rule's judge does
        return ""


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (lambda: int("x"), "ValueError in "),
        (lambda: warnings.warn("old", DeprecationWarning, stacklevel=1), "DeprecationWarning in "),
        (lambda: "a\x1b[31m", r"unescaped '\x1b'"),
        (lambda: bytes(2 * watched.MAX_MEMORY_BYTES), "MemoryError in "),
        (hang, "hang in "),
        (caught_hang, "hang in "),
    ],
)
def test_what_is_bad_is_seen(act, kind, tmp_path, monkeypatch):
    """Errors, warnings, control characters, memory, time."""
    monkeypatch.setattr(watched, "MAX_SECONDS", 0.2)
    with pytest.raises(Bad) as bad:
        read_with(tmp_path, act)
    assert bad.value.kind.startswith(kind)


def test_a_refusal_is_an_answer(tmp_path):
    """A SpecprofError says what is wrong; its text is made plain where it is printed."""

    def refuse():
        raise UsageError("\x1b no", "do")

    assert not read_with(tmp_path, refuse)
    assert read_with(tmp_path, lambda: "fine\n\tétude")


def test_a_crashed_rule_is_seen(tmp_path, monkeypatch):
    """The report goes on without it; the search does not."""
    from specprof.diagnosis.rules.too_few_rounds import TooFewRounds

    monkeypatch.setattr(TooFewRounds, "judge", lambda *_: int("x"))
    with pytest.raises(Bad, match="rule too-few-rounds crashed"):
        READERS["diagnose"].read(SEEDS / CUT_CAPTURE)


def test_a_false_accusation_is_seen(tmp_path):
    """A cache that is one too long in every round is a bug, and no damage."""
    made = []
    for line in seeds(CAPTURE)[CUT_CAPTURE]:
        changed = json.loads(line)
        if changed["event"] == "round":
            changed["target_length"] += 1
        made.append(json.dumps(changed).encode() + b"\n")
    path = tmp_path / CUT_CAPTURE
    path.write_bytes(b"".join(made))
    with pytest.raises(Bad, match="accused of"):
        READERS["acquit"].read(path)


# --- hunting -----------------------------------------------------------------------------------


def picky(path):
    """Misread whatever holds a number of 2^53."""
    if b"9007199254740992" in path.read_bytes():
        raise ZeroDivisionError
    return ""


def test_what_is_found_is_made_small(tmp_path, monkeypatch):
    """One edit, and no line but the one that matters and the first."""
    monkeypatch.setattr(Hunt, "pursued", set())
    reader = Reader("picky", CAPTURE, picky)
    total = Tally()
    for chunk in range(20):
        total.add(hunt(reader, chunk, examples=50, room=tmp_path))
        if total.found:
            break
    ((kind, found),) = total.found.items()
    assert kind == "ZeroDivisionError in test_fuzz.py:picky"
    assert found.data.count(b"\n") <= 2
    assert (found.reader, found.chunk) == ("picky", chunk)


def test_a_chunk_is_the_same_every_time(tmp_path):
    """By its number, whatever was played before."""
    seen = []

    def note(path):
        seen.append(path.read_bytes())
        return ""

    reader = Reader("note", CAPTURE, note, cheap=True)
    for chunk in (3, 4, 3):
        hunt(reader, chunk, examples=5, room=tmp_path)
    third = len(seen) // 3
    assert seen[:third] == seen[-third:] != seen[third : 2 * third]


def test_a_tally_keeps_the_smaller_input():
    """Of each kind; counts add up."""
    large, small = (Found("r", "k", "", "x.jsonl", data, 1) for data in (b"long", b"s"))
    total = Tally(2, 1, 1, {"k": large})
    total.add(Tally(3, 0, 1, {"k": small}))
    assert total == Tally(5, 1, 2, {"k": small})


def test_a_process_that_dies_is_found_with_its_input(tmp_path, monkeypatch):
    """What ran with it is played again, alone."""

    class Pool:
        _processes = None

        def submit(self, _played, reader, chunk, _examples, room):
            future = Future()
            if chunk == 1:
                room.mkdir(exist_ok=True)
                (room / "x.jsonl").write_bytes(b"deadly")
                future.set_exception(BrokenProcessPool())
            else:
                future.set_result(Tally(10))
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(search, "_open_pool", lambda _: Pool())
    line = Line("capture", 30, after=3)
    with Search(1, tmp_path, until=time.monotonic() + 60) as one:
        one.play([line])
    assert line.tally.inputs == 21
    assert line.tally.found["the process died"].data == b"deadly"


# --- the command -------------------------------------------------------------------------------


def test_the_command_counts_and_writes(tmp_path, capsys):
    """One chunk of one reader, in a process of its own."""
    code = fuzz.main(
        ["--reader=profile", "--chunks", "0", "1", "--jobs=1", "--reduced", f"--into={tmp_path}"]
    )
    assert code == 0
    told = json.loads((tmp_path / "fuzz.json").read_text(encoding="utf-8"))
    (counts,) = told["counts"]
    assert counts["inputs"] == fuzz.REDUCED_EDITS * len(seeds("profiles"))
    assert counts["bad"] == told["bad"] == 0
    assert capsys.readouterr().out == (tmp_path / "fuzz.txt").read_text(encoding="utf-8")


def test_one_file_can_be_read_again(tmp_path, capsys, monkeypatch):
    """By the readers named; what is bad in it is said, with exit code 1."""
    monkeypatch.setattr(fuzz, "prepare", lambda: None)
    seed = str(SEEDS / CUT_CAPTURE)
    assert fuzz.main(["--reader=capture", f"--input={seed}"]) == 0
    assert capsys.readouterr().out == "capture: read\n"
    bad = Reader("capture", CAPTURE, lambda _: "\x07")
    monkeypatch.setitem(READERS, "capture", bad)
    assert fuzz.main(["--reader=capture", f"--input={seed}"]) == 1
    assert "BAD: unescaped" in capsys.readouterr().out


def test_what_was_found_can_be_kept(tmp_path):
    """By reader and content; the line told reads it again."""
    found = Found("acquit", "accused of x", "accused of x\nwhy", "greedy.jsonl", b"data", 7)
    told = fuzz.describe(found, tmp_path / "kept")
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.read_bytes() == b"data"
    assert kept.name.startswith("acquit-")
    assert f"--reader acquit --input {kept}" in told
    assert "--chunks 7 8" in fuzz.describe(found, None)


def test_a_file_of_the_corpus_is_not_kept_again(tmp_path):
    """It is named where it lies."""
    name = str((SEEDS / CUT_CAPTURE).relative_to(fuzz.ROOT))
    told = fuzz.describe(Found("capture", "odd", "odd", name, b"data"), tmp_path)
    assert f"--reader capture --input {name}" in told
    assert not list(tmp_path.iterdir())


def test_the_long_form_is_as_long_as_was_promised():
    """A million decodes a reader, a hundred thousand whole diagnoses, every byte's end."""
    lines = {line.reader: line for line in fuzz.plan_lines(fuzz.parse_arguments([]))}
    decodes = [name for name, reader in READERS.items() if reader.cheap]
    assert {lines[name].wanted for name in decodes} == {1_000_000}
    assert lines["diagnose"].wanted == 100_000
    assert set(READERS) <= set(lines)
    for line in list_cut_lines():
        assert line.after * search.CUT_BYTES > (SEEDS / CUT_CAPTURE).stat().st_size
    assert FOUND.is_dir()
    assert edits.MAX_PLACE > max(len(lines) for lines in seeds(CAPTURE).values())
