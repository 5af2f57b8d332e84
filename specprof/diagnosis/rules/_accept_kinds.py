"""Names the accept law that is really in force, as far as the decisions show it."""

from typing import NamedTuple

import numpy as np

from specprof.analysis import accept_bank, accept_laws, emitted_law
from specprof.analysis.accept_bank import FACTOR, OF_DRAFT, OF_TARGET
from specprof.analysis.accept_laws import CoinPattern
from specprof.analysis.attribution import Coins
from specprof.analysis.evidence import Evidence
from specprof.analysis.tables import Bools, Ints

MIN_WRONG_REJECTIONS = 5
MIN_SHARE_OF_ONE_TOKEN = 0.8
"""The share of those rejections that one token must follow."""
MAX_TARGET_PROB = 0.05
"""Below it the target all but rules that token out."""
REMEDY = (
    "accept a draft when a fresh uniform number is below target / draft of that token, with both "
    "probabilities after all processing (arXiv 2211.17192, algorithm 1)"
)


class Kind(NamedTuple):
    """What is wrong with an accept step."""

    clause: str
    """In words that follow what the step does to drafts."""
    suspects: tuple[str, ...] = ()
    """Cases of the catalogue."""
    instead: str = ""
    """A message that says it all; empty: what the step does to drafts is said first."""
    remedy: str = REMEDY


RATIO = ("accept/wrong-ratio",)
UNPROCESSED = ("accept/target-not-filtered",)
UNCHECKED, MISREAD = ("verify/first-draft-unchecked",), ("verify/rows-swapped-topk-args",)
CLAUSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "always": (": it accepts nearly all of them", ("accept/always-accept",)),
    "never": (": it accepts nearly none of them", ()),
    "the same share of all drafts": (": it looks at no probability", ()),
    "all or nothing": (": it accepts a round's drafts all or not at all, whatever they are", ()),
    "equality": ("; it accepts those that equal a draw of the target", RATIO),
    "a coin of 1": ("; it compares the ratio with 1, not with a random number", ()),
    "the same coin each time": ("; it compares the ratio with the same number each time", ()),
    "the same coins in every round": ("; it uses the same random numbers in every round", ()),
    "one coin for a whole round": ("; it uses one random number for all drafts of a round", ()),
    OF_DRAFT["draft_soft"]: (
        "; it judges certain drafts by the whole law they are first choices of",
        ("accept/greedy-draft-soft-q",),
    ),
    OF_DRAFT["draft_first"]: ("; it uses the draft's law of the round's first step", RATIO),
    OF_DRAFT["draft_before"]: ("; it uses the draft's law of the step before", RATIO),
    OF_DRAFT["draft_after"]: ("; it uses the draft's law of the step after", RATIO),
    OF_DRAFT["draft_last"]: ("; it uses the draft's law of the round's last step", RATIO),
}
"""Of each law that may be named: the clause that names it, and the cases that follow it."""
PROCESSED = {
    OF_TARGET["target_unfiltered"]: "the one without top-k and top-p",
    OF_TARGET["target_twice"]: "the one whose logits were divided by the temperature twice",
    accept_bank.RAW_FIRST: "that of the first row is not processed",
    accept_bank.RAW_LATER: "that of all rows but the first is not processed",
    accept_bank.FLAT: "a nearly even one, as a wrong temperature leaves it",
}
"""Other laws of the target, in words."""
OTHER_ROWS = {
    OF_TARGET["target_before"]: "the row before its own",
    OF_TARGET["target_after"]: "the row after its own",
}


def name_kind(evidence: Evidence, coins: Coins) -> Kind:
    """Return in words which rule is really in force, and the cases of the catalogue."""
    found = evidence.ask(accept_laws.explain_coins)
    kind = _name_pattern(evidence, found)
    if kind is None and uses_another_target(evidence, coins):
        kind = _name_target(evidence, found)
    elif kind is None and found.checked is not None:
        kind = Kind(": only the first draft of a round is judged by its own row", MISREAD)
    return kind or _name_leak(evidence, coins) or _name_law(evidence, found)


def _name_pattern(evidence: Evidence, found: CoinPattern) -> Kind | None:
    """Name what shows without regard to which target law is used; None where nothing does."""
    places = evidence.places
    if places.accepted.all() and len(places) >= accept_laws.MIN_PLACES:
        return Kind(": it accepts all of them", ("accept/always-accept",))
    if found.unchecked is not None:
        return Kind(": the first draft of a round is not checked", UNCHECKED)
    if found.explains and found.best.name in OTHER_ROWS:
        return Kind(f": each draft is judged by {OTHER_ROWS[found.best.name]}", RATIO)
    return None


def _name_leak(evidence: Evidence, coins: Coins) -> Kind | None:
    leaked = find_leaked_token(evidence, evidence.row(coins.rejected_wrongly))
    if leaked is None:
        return None
    clause = f"; token {leaked} follows each time, which the target all but rules out"
    return Kind(clause, ("accept/nan-draft-row",))


def uses_another_target(evidence: Evidence, coins: Coins) -> bool:
    """Return whether the target's law in force is not the declared one.

    The decisions show it, or the tokens that follow them: these too are drawn from another law.
    """
    if evidence.greedy:
        return False
    found = evidence.ask(accept_laws.explain_coins)
    rows = found.best.name not in OTHER_ROWS
    finals, free = evidence.ask(emitted_law.finals), evidence.ask(emitted_law.bonuses)
    after = evidence.ask(emitted_law.corrections)
    astray = min(free.p_value, after.p_value) <= evidence.alpha
    if found.of_target and rows and (found.explains or astray):
        return True
    if not (_is_filtered(evidence) or evidence.settings.temperature != 1):
        return False
    if _is_filtered(evidence) and len(coins.accepted_wrongly):
        return bool((finals.target_prob == 0).any())
    return free.p_value <= evidence.alpha


def find_leaked_token(evidence: Evidence, rows: Ints) -> int | None:
    """Return the token that ends nearly each of these rounds, [rows]; None where none does.

    A row of NaN fails every comparison, and its empty residual always gives the same token.
    """
    rows = rows[evidence.rounds.emitted[rows] == evidence.rounds.accepted[rows] + 1]
    if len(rows) < MIN_WRONG_REJECTIONS:
        return None
    tokens = emitted_law.last_tokens(evidence)[rows]
    ids, counts = np.unique(tokens, return_counts=True)
    usual = int(ids[counts.argmax()])
    same = tokens == usual
    little = evidence.rounds.final_target_prob[rows][same] < MAX_TARGET_PROB
    share = min(float(same.mean()), float(little.mean()))
    return usual if share > MIN_SHARE_OF_ONE_TOKEN else None


def _name_target(evidence: Evidence, found: CoinPattern) -> Kind:
    """Say which law of the target is used, as far as one leads all others."""
    name, leads = found.best.name, found.best.lead >= accept_laws.MIN_LEAD_NATS
    which = PROCESSED.get(name, "") if leads else ""
    if name == OF_TARGET["target_raw"] and found.explains:
        which = f"the one without {_processing(evidence)}"
    clause = "the accept step uses another target law than the declared one"
    clause += f", {which}" if which else ""
    remedy = (
        "give every row of the target the declared temperature, top-k and top-p before it judges "
        "drafts or draws tokens, and check that all its probabilities are numbers"
    )
    return Kind("", UNPROCESSED, clause + _no_numbers(evidence), remedy)


def _processing(evidence: Evidence) -> str:
    """Return the steps that the settings put between the target's logits and its law."""
    tempered = evidence.settings.temperature != 1
    steps = ["temperature"] * tempered + ["top-k and top-p"] * _is_filtered(evidence)
    return " and ".join(steps)


def _no_numbers(evidence: Evidence) -> str:
    """Say where rounds end alike, as rows of NaN leave them; empty where none do."""
    rounds = evidence.rounds
    behind: Bools = evidence.rejected & (rounds.accepted > 0)
    leaked = find_leaked_token(evidence, np.flatnonzero(behind))
    if leaked is None:
        return ""
    return (
        f"; token {leaked} follows the drafts that stand in {int(behind.sum()):,} rounds, as a row "
        "of NaN leaves it"
    )


def _name_law(evidence: Evidence, found: CoinPattern) -> Kind:
    best = found.best
    if not found.explains:
        unknown = f"; no known law explains its decisions at {found.open:,} open places"
        return Kind("" if evidence.greedy else unknown)
    if best.name in CLAUSES:
        clause, suspects = CLAUSES[best.name]
        return Kind(f"{clause} (n = {found.open:,} open places)", suspects)
    lenient = best.name.endswith(FACTOR) and float(best.name.split()[0]) > 1
    if lenient and _is_filtered(evidence):
        return Kind(
            ": the draft's law it is given lacks the filters that its tokens went through",
            ("accept/q-unfiltered-tokens-filtered",),
        )
    how = "; the law that explains this best is"
    return Kind(f"{how} '{best.name}' (n = {found.open:,} open places)", RATIO)


def _is_filtered(evidence: Evidence) -> bool:
    return evidence.settings.top_k > 0 or evidence.settings.top_p < 1
