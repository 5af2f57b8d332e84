"""A file's settings may not ask for anything that the user did not allow by hand."""

import re
from pathlib import Path

import pytest

from specprof import limits, plan, trust
from specprof.cli import app
from specprof.errors import UsageError
from specprof.settings import RunSpec, Settings
from specprof.trust import Allowed

ROOT = Path(__file__).parents[1]
NOTHING = Allowed()


def specs(**given):
    return [RunSpec(id="x", profile="mine", settings=Settings(**given))]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"target": "models/evil"}, "the model 'models/evil'"),
        ({"draft": "owner/name"}, "the model 'owner/name'"),
        ({"target": "pocket/../../x"}, "the model 'pocket/../../x'"),
        ({"target": "pocket//etc"}, "the model 'pocket//etc'"),
        ({"text": "/etc/passwd"}, "the text '/etc/passwd'"),
        ({"dataset": "owner/name"}, "the dataset 'owner/name'"),
        ({"trust_remote_code": True}, "running the own code of 'pocket/target'"),
        (
            {"target": "a/b", "draft": "c/d", "trust_remote_code": True},
            "running the own code of 'a/b' and 'c/d'",
        ),
    ],
)
def test_what_isn_t_specprofs_own_must_be_said_by_hand(asked, told):
    """The error names the file, its demand, and what to type; typed, it is allowed."""
    with pytest.raises(UsageError) as raised:
        trust.check("run.jsonl", [Settings(**asked)], NOTHING)
    assert raised.value.title.startswith("run.jsonl asks for ")
    assert told in raised.value.title
    options = trust.list_allow_options([Settings(**asked)])
    assert all(option in raised.value.hint for option in options)
    names = frozenset(
        each.removeprefix("--allow=") for each in options if each != trust.CODE_OPTION
    )
    trust.check("run.jsonl", [Settings(**asked)], Allowed(names, trust.CODE_OPTION in options))


@pytest.mark.parametrize(
    "asked",
    [{}, {"draft": None}, {"draft": "pocket/eagle"}, {"text": "prose"}, {"target": "pocket/small"}],
)
def test_what_specprof_brings_along_may_be_asked_for(asked):
    """Shipped models and generated texts are allowed; an unknown family member is no model."""
    known = asked.get("target", "pocket/target") == "pocket/target"
    if known:
        trust.check("run.jsonl", [Settings(**asked)], NOTHING)
        assert trust.list_allow_options([Settings(**asked)]) == []
    else:
        with pytest.raises(UsageError):
            trust.check("run.jsonl", [Settings(**asked)], NOTHING)


def test_one_word_allows_one_thing():
    """An allowed model allows neither its code nor another file."""
    asked = [Settings(target="a/b", draft="c/d", text="e", trust_remote_code=True)]
    with pytest.raises(UsageError) as raised:
        trust.check("run.jsonl", asked, Allowed(frozenset({"a/b"})))
    assert "the model 'a/b'" not in raised.value.title
    for part in ("c/d", "'e'", "code"):
        assert part in raised.value.title
    with pytest.raises(UsageError, match="'c/d', the text 'e'; "):
        trust.check("run.jsonl", asked, Allowed(frozenset({"a/b"}), code=True))


def test_every_run_of_a_file_is_looked_at():
    """The last run is checked like the first."""
    asked = [Settings(), Settings(), Settings(target="a/b")]
    with pytest.raises(UsageError, match="a/b"):
        trust.check("sweep.json", asked, NOTHING)


def test_a_run_of_ones_own_may_be_made_again():
    """Its probes load what it loaded, and no more."""
    own = Settings(target="a/b", draft="c/d", text="e", trust_remote_code=True)
    trust.check("run.jsonl", [own], Allowed.by(own))
    with pytest.raises(UsageError, match="other"):
        trust.check("run.jsonl", [Settings(target="other")], Allowed.by(own))
    with pytest.raises(UsageError, match="code"):
        trust.check("run.jsonl", [own], Allowed.by(Settings(target="a/b", draft="c/d", text="e")))


def test_a_hint_is_one_that_can_be_typed():
    """A name is one word of a shell, however it is written, and a long name is cut."""
    (option,) = trust.list_allow_options([Settings(target="a b; $(rm -rf ~)")])
    assert option == "'--allow=a b; $(rm -rf ~)'"
    with pytest.raises(UsageError) as raised:
        trust.check("run.jsonl", [Settings(target="x" * 100_000)], NOTHING)
    assert len(raised.value.title) + len(raised.value.hint) < 1_000


def test_a_profiles_models_are_what_it_is_run_for(tmp_path):
    """A profile's models are allowed; its code is not, neither a file's nor a shipped profile's."""
    trust.check_profile(tmp_path / "a.toml", specs(target="a/b", dataset="c/d"), NOTHING)
    for file in (tmp_path / "a.toml", None):
        with pytest.raises(UsageError, match="own code of 'a/b';"):
            trust.check_profile(file, specs(target="a/b", trust_remote_code=True), NOTHING)
        trust.check_profile(file, specs(trust_remote_code=True), Allowed(code=True))


def test_a_profile_reads_texts_beside_it_only(tmp_path, monkeypatch):
    """A text elsewhere, a hidden text, or a link to either must be named by hand."""
    folder = tmp_path / "theirs"
    (folder / ".ssh").mkdir(parents=True)
    secret = tmp_path / "secret.txt"
    for path in (secret, folder / "book.txt", folder / ".ssh" / "key"):
        path.write_text("words")
    (folder / "link.txt").symlink_to(secret)
    monkeypatch.chdir(folder)
    profile = folder / "a.toml"
    trust.check_profile(profile, specs(text="book.txt"), NOTHING)
    trust.check_profile(profile, specs(text="prose"), NOTHING)
    for text in (str(secret), "../secret.txt", "link.txt", ".ssh/key", "\0"):
        with pytest.raises(UsageError, match="the text"):
            trust.check_profile(profile, specs(text=text), NOTHING)
        trust.check_profile(profile, specs(text=text), Allowed(frozenset({text})))
    for dataset in (
        str(tmp_path),
        f"{tmp_path}:default",
        "..:default",
        f"{tmp_path}/t*",
    ):
        with pytest.raises(UsageError, match="the dataset"):
            trust.check_profile(profile, specs(dataset=dataset), NOTHING)


def test_no_shipped_profile_asks_for_what_must_be_said_by_hand():
    """They run as they are."""
    for name in plan.profiles():
        trust.check_profile(None, plan.expand(plan.read_profile(name)), NOTHING)


def test_the_page_tells_of_every_command():
    """The table of docs/trust.md has a row for each command, and no other row."""
    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", page, re.MULTILINE)
    commands = {each.name or each.callback.__name__ for each in app.registered_commands}
    assert {name for name, _ in rows} == commands
    assert len(rows) == len(commands)
    assert {len(cells.split("|")) for _, cells in rows} == {len(re.search(
        r"^\| command \|(.*)\|$", page, re.MULTILINE)[1].split("|"))}  # fmt: skip


@pytest.mark.parametrize("field", ["target", "draft", "text", "dataset"])
def test_an_empty_name_is_nobodys_to_allow(field):
    """It would be the current folder, whatever that holds."""
    with pytest.raises(UsageError, match=f"{field} is an empty name"):
        trust.check("run.jsonl", [Settings(**{field: ""})], Allowed(frozenset([""])))
    with pytest.raises(UsageError, match=f"{field} is an empty name"):
        limits.check(Settings(**{field: ""}))
