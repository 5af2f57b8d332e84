"""Everything that code and `explain` cite is in docs/theory.md or in the catalogue."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from specprof import registry
from specprof.catalogue import cases
from specprof.cli import explain
from specprof.glossary import METRICS

ROOT = Path(__file__).parents[1]
PLACES = (ROOT, ROOT / "specprof")
THEORY = (ROOT / "docs/theory.md").read_text(encoding="utf-8")
FOLDERS = ("specprof", "plugins", "benchmarks", "tests", "profiles")
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".toml", ".cpp", ".cu"} and path != Path(__file__)
)
LABEL = r"\d{1,2}(?:\.\d{1,2})?|[A-Z]\d{1,2}|row [A-Z]\d?|\(?\b[a-e]\b\)?(?!')"
CITATION = re.compile(
    rf"\btheory(?:\.md)?,?\s+(?:section\s+)?((?:{LABEL})(?:(?:[,;]|\s+and|\s+to)?\s+(?:{LABEL}))*)",
    re.IGNORECASE,
)


def labels(page):
    """Return what can be cited: headings, bold labels, "4.2 d" and "7.4 J" for parts."""
    found, item = set(), ""
    for line in page.splitlines():
        numbered = re.match(r"#+ (\d+(?:\.\d+)?)[. ]|- \*\*(\d+\.\d+)\*\*", line)
        if numbered:
            item = numbered[1] or numbered[2]
            found.add(item)
        if marked := re.match(r"(?:- |\| )\*\*(?:\(([a-e])\)|([A-Z]\d{0,2}))\*\*", line):
            part = marked[1] or marked[2]
            found |= {f"{item} {part}"} | ({part} if len(part) > 1 else set())
    return found


def cited(text):
    """Return the labels a text cites, a row or a part with the item it belongs to."""
    found, item = [], ""
    for match in CITATION.finditer(text):
        for label in re.findall(LABEL, match[1]):
            bare = label.removeprefix("row ").strip("()")
            part = bare != label or (len(bare) == 1 and bare.isalpha())
            found.append(f"{item} {bare}" if part else bare)
            item = item if part else bare
    return found


def running(path):
    """Return a file's text on one line, without comment signs and the quotes of joined strings."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"(\"\s*\n\s*f?\"|\s*\n\s*(#\s)?\s*)", " ", text)


def prose(path):
    """Return a Python file's comments and docstrings, a field's too."""
    text = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [each.string for each in tokens if each.type == tokenize.COMMENT]
    alone = (each.value for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Expr))
    return comments + [each.value for each in alone if isinstance(each, ast.Constant)]


def test_every_citation_of_theory_leads_somewhere():
    """In code, tests, benchmarks and plug-ins; each label is one of the page's."""
    known = labels(THEORY)
    found = {(path.name, label) for path in SOURCES for label in cited(running(path))}
    assert not sorted(each for each in found if each[1] not in known)
    assert len(found) > 90


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(theory 5.99)", ["5.99"]),
        ("theory I14 holds", ["I14"]),
        ("Theory 7.4, row Z.", ["7.4", "7.4 Z"]),
        ("(theory.md section 13; x)", ["13"]),
        ("docs/theory.md, 2.1, 3 T7", ["2.1", "3", "T7"]),
        ("theory 4.2 e) and theory V99", ["4.2", "4.2 e", "V99"]),
    ],
)
def test_an_unknown_label_would_be_seen(text, expected):
    """However it is cited, its labels are read, and the page lacks one of them."""
    assert cited(text) == expected
    assert "4.2 e" in labels(THEORY)
    assert not set(expected) <= labels(THEORY)


def explained():
    """Return what `specprof explain` prints of each name it knows, and its list."""
    names = [*registry.members("rule"), *registry.members("probe"), *METRICS, *cases()]
    texts = [
        explain._list_all(),
        *(explain._explain(name) for name in [*names, *explain._member_texts()]),
    ]
    return [explain.cite_docs(text) for text in texts]


def test_what_explain_cites_names_the_page():
    """No bare "theory 5.7": a reader sees which page has it, and the page does."""
    texts = explained()
    found = {label for text in texts for label in cited(" ".join(text.split()))}
    assert len(found) > 20
    assert found <= labels(THEORY)
    assert not [text for text in texts if re.search(r"(?<!docs/)\btheory\s+[A-Z]?\d", text)]


def test_no_comment_cites_a_document_that_is_not_here():
    """Each named page is in the repository; "faults S13" named a page that isn't."""
    pages = {path.name for path in ROOT.glob("*.md")} | {
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("[!.]*/*.md")
    }
    pages |= {Path(page).name for page in pages}
    for path in SOURCES:
        told = " ".join(prose(path)) if path.suffix == ".py" else ""
        assert set(re.findall(r"[\w/-]+\.md\b", told)) <= pages, path
        assert not re.search(r"\b(faults|peers|screens)(\.md|,? section| S\d|: \w+/)", told), path


def test_the_contents_of_the_page_are_its_sections():
    """Every section is linked at the top, and nothing else."""
    sections = re.findall(r"^## (\d.*)$", THEORY, re.MULTILINE)
    linked = re.findall(r"^- \[(\d.*?)\]\(#(.*?)\)", THEORY, re.MULTILINE)
    assert [title for title, _ in linked] == sections
    for title, anchor in linked:
        assert anchor == re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_the_tests_that_the_page_names_exist():
    """A moved test would leave a claim without its proof."""
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", THEORY))
    assert len(named) > 15
    assert not [path for path in named if not (ROOT / path).is_file()]


def test_what_was_taken_went_where_the_page_says():
    """Each file of ours that docs/taken-from.md names is in the package or the repository."""
    page = (ROOT / "docs/taken-from.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    ours = {path for row in rows if len(row) >= 4 for path in re.findall(r"`(.*?)`", row[2])}
    assert len(ours) > 20
    assert not [path for path in ours if not any((at / path).exists() for at in PLACES)]
