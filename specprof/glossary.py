"""What the printed quantities mean: each with its denominator, its identity and its source.

The module loads nothing, so `specprof explain` prints the texts at once.
"""

METRICS: dict[str, str] = {
    "round": "One draft, one verify pass, one verdict: draft K tokens, check them, commit some.",
    "drafted": "A token the draft proposed. K of them a round, in a tree more; K may vary.",
    "reached": (
        "A drafted token that was evaluated: all drafts it follows were accepted, and no earlier\n"
        "sibling was. Other tokens say nothing about the models: an honest denominator omits them."
    ),
    "level": (
        "The drafted tokens of one draft index: one token in a chain, siblings in a tree. A level\n"
        "is reached if one of its tokens was reached, and passed if one was accepted; at most one\n"
        "is."
    ),
    "emitted": (
        "A committed token: an accepted draft, the correction (after a rejection) or the bonus\n"
        "(after none). emitted = accepted + 1 in every round that a stop doesn't cut short\n"
        "(theory I2)."
    ),
    "burst": "A stretch of decoding after one prefill. Each round continues the round before.",
    "accept_frac": (
        "accepted / drafted. It falls as K grows although nothing gets worse. So it can't be\n"
        "compared across K, nor between chains and trees, which draft siblings of which one at\n"
        "most is accepted. vLLM calls it the average draft acceptance rate."
    ),
    "alpha_cond": (
        "accepted / reached. It is the alpha of Leviathan et al. (arXiv 2211.17192) if all places\n"
        "are alike. It can be compared across K. In a tree it is accepted / reached levels:\n"
        "siblings pass a level together, so trees and chains can't be compared. Interval: block\n"
        "bootstrap over rounds."
    ),
    "accepted_per_reached_token": (
        "accepted / reached tokens. In a chain it equals alpha_cond. In a tree it says what a\n"
        "single node is worth, on average over first and later siblings."
    ),
    "c_i": (
        "Conditional acceptance at draft index i (in a tree, a level): accepted there / reached\n"
        "there. If c_i falls with i, the draft gets worse along its own chain."
    ),
    "S_i": (
        "Survival at draft index i: accepted there / rounds that drafted it. With fixed K it is\n"
        "the product of c_0 to c_i. A draft step at i pays while S_i exceeds its share of the cost."
    ),
    "tau": (
        "emitted / rounds, the bonus token included: mean acceptance length as most papers print\n"
        "it. Some papers leave the bonus out and print tau - 1."
    ),
    "tokens_per_target_forward": (
        "emitted / target forwards. It equals tau if each round runs the target once. Then it\n"
        "can't be below 1 (theory I3)."
    ),
    "speed-up": (
        "Plain time / speculative time for the tokens emitted, total over total at the same\n"
        "contexts (theory 5.7). Plain time comes from a cell of its own in a sweep, or from plain\n"
        "steps timed beside each burst. Interval: block bootstrap, joined with plain decoding's\n"
        "spread."
    ),
    "TTFT": "Time to the first token: the run's first prefill and first round, in ms.",
    "TPOT": (
        "Decoding time / emitted, in ms, for one sequence. In a batch each sequence waits for the\n"
        "whole step."
    ),
    "PPL": (
        "Perplexity: exp of the total negative log-likelihood / tokens scored. Interval: block\n"
        "bootstrap over tokens. Only runs over one text and one target can be compared."
    ),
    "compressions": "Evicted tokens / block of a windowed cache: how often it was cut back.",
    "overlap": (
        "Acceptance owed before the draw. Under the rejection rule: the sum over tokens of\n"
        "min(target, draft), which is 1 minus the total variation. Under greedy: whether both\n"
        "first choices agree. Under exact-match: the sum of target * draft. In a tree a later\n"
        "sibling is measured on what is left of both distributions after the earlier siblings\n"
        "were rejected. A level's overlap is the sum over the siblings reached."
    ),
    "accept_owed": (
        "Acceptance owed to the drafted token itself: min(1, target / draft); 0 or 1 under\n"
        "greedy. Its mean over draws is the overlap."
    ),
    "mismatch": (
        "1 - overlap recomputed cleanly: the rejections that two correct models owe each other.\n"
        "It is the first part of rejected = mismatch + state + draft law + accept rule."
    ),
    "state": (
        "Overlap recomputed without a cache, less overlap as the run used it. It is the cost of\n"
        "wrong caches, positions or masks."
    ),
    "draft law": (
        "Overlap less accept_owed. Its mean is 0 if drafts come from their declared distribution."
    ),
    "accept rule": "accept_owed less accepted. Its mean is 0 if the accept step's coin is fair.",
    "perplexity": (
        "exp of the mean negative log-likelihood, in nats, of a known text's tokens, each given\n"
        "the cached tokens before it. Interval: block bootstrap over tokens."
    ),
    "dropped": (
        "Tokens of its sequence that a cache has dropped so far. Its length still counts them.\n"
        "One compression drops `block` tokens."
    ),
    "sequence": (
        "One of several texts decoded at once. A batch step's time belongs to all its sequences:\n"
        "each round counts its share, and exports show one lane for each sequence."
    ),
    "host gap": (
        "A round's wall time less its top-level spans: the host makes the device wait. It is\n"
        "computed, not measured, so the phases always sum to the wall time."
    ),
    "forwards": (
        "How a model's forwards were computed (setting `path`). `flat`: by one function over its\n"
        "weights, if that gives the module's logits. `modules`: by the Hugging Face modules.\n"
        "`replayed`: short forwards over a chain (32 tokens at most, no tree) were recorded once,\n"
        "as CUDA graphs on a GPU, as TorchScript on a CPU, if replays give equal logits (setting\n"
        "`graphs`). The capture's header holds both (`path`, `graphs`), and why forwards are not\n"
        "flat or not replayed (`path_reason`, `graphs_reason`). The recheck always uses the\n"
        "modules."
    ),
    "always-valid p-value": (
        "1 / the largest fortune that a gambler who bets against 'nothing is wrong' has made so\n"
        "far. If nothing is wrong, it falls below a with probability a at most, however often it\n"
        "is looked at (Ville; arXiv 2210.01948)."
    ),
}
