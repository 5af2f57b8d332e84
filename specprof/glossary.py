"""What the printed quantities mean: each with its denominator, its identity and its source.

Plain words only, so that `specprof explain` can print them without loading anything.
"""

METRICS: dict[str, str] = {
    "round": "One draft, one verify pass, one verdict: draft K tokens, check them, commit some.",
    "drafted": "A token the draft proposed. K of them a round, in a tree more; K may vary.",
    "reached": (
        "A drafted token that was evaluated: all drafts it follows from stood, and no sibling\n"
        "before it did. Later ones say nothing about the models, so they are no honest denominator."
    ),
    "level": (
        "Drafted tokens that follow from as many others: a draft index. One token in a chain,\n"
        "siblings in a tree. Reached if one of them was, passed if one stood; at most one does."
    ),
    "emitted": (
        "A committed token: accepted drafts, then the correction (after a rejection) or the bonus\n"
        "(after none). emitted = accepted + 1 in every round a stop doesn't cut short (theory I2)."
    ),
    "burst": "A stretch of decoding after one prefill; its rounds continue one another.",
    "accept_frac": (
        "accepted / drafted. Falls as K grows although nothing gets worse: not comparable across\n"
        "K, nor between chains and trees, which draft siblings of which one may stand. vLLM calls\n"
        "it the average draft acceptance rate."
    ),
    "alpha_cond": (
        "accepted / reached. The alpha of Leviathan et al. (arXiv 2211.17192) if all places were\n"
        "alike; comparable across K. In a tree accepted / reached levels: siblings pass a level\n"
        "together, so a tree's is no chain's. Interval: block bootstrap over rounds."
    ),
    "accepted_per_reached_token": (
        "accepted / reached tokens. In a chain the same as alpha_cond; in a tree what a single\n"
        "node is worth, elder and younger siblings together."
    ),
    "c_i": (
        "Conditional acceptance at draft index i, a level in a tree: accepted there / reached\n"
        "there. Falling c_i means the draft gets worse by itself along its chain."
    ),
    "S_i": (
        "Survival at draft index i: accepted there / rounds that drafted it. With fixed K the\n"
        "product of c_0 to c_i; a draft step at i pays while S_i exceeds its share of the cost."
    ),
    "tau": (
        "emitted / rounds, the bonus token included: mean acceptance length as most papers print\n"
        "it. Some leave the bonus out: then it is tau - 1."
    ),
    "tokens_per_target_forward": (
        "emitted / target forwards. Equals tau where each round runs the target once; below 1 is\n"
        "impossible then (theory I3)."
    ),
    "speed-up": (
        "Plain time / speculative time for the tokens emitted, total over total at the same\n"
        "contexts (theory 5.7). Plain decoding is a cell of its own in a sweep, or plain steps\n"
        "timed beside each burst. Interval: block bootstrap, joined with plain decoding's spread."
    ),
    "TTFT": "Time to the first token: the run's first prefill and first round, in ms.",
    "TPOT": (
        "Decoding time / emitted, in ms, as one sequence feels it: in a batch each waits for the\n"
        "whole step."
    ),
    "PPL": (
        "Perplexity: exp of the total negative log-likelihood / tokens scored. Interval: block\n"
        "bootstrap over tokens. Only runs over one text and one target compare."
    ),
    "compressions": "Evicted tokens / block of a windowed cache: how often it was cut back.",
    "overlap": (
        "Acceptance owed before the draw: the sum over tokens of min(target, draft) under the\n"
        "rejection rule, 1 minus the total variation; under greedy agreement of first choices,\n"
        "the sum of target * draft under exact-match. Of a sibling in a tree: by what is left of\n"
        "both laws once its elders were rejected; a level owes the sum over those reached."
    ),
    "accept_owed": (
        "Acceptance owed to the drafted token itself: min(1, target / draft); 0 or 1 under\n"
        "greedy. Its mean over draws is the overlap."
    ),
    "mismatch": (
        "1 - overlap recomputed cleanly: rejections two correct implementations owe each other.\n"
        "The first bracket of rejected = mismatch + state + draft law + accept rule."
    ),
    "state": (
        "Overlap recomputed without a cache, less overlap as the run used it: what wrong caches,\n"
        "positions or masks cost."
    ),
    "draft law": "Overlap less accept_owed: 0 in the mean if drafts come from their declared law.",
    "accept rule": "accept_owed less accepted: 0 in the mean if the accept step's coin is fair.",
    "perplexity": (
        "exp of the mean negative log-likelihood, in nats, of a known text's tokens, each given\n"
        "all before it that is cached. Interval: block bootstrap over tokens."
    ),
    "dropped": (
        "Tokens a cache has let go of its sequence so far; its length counts them still. One\n"
        "compression drops `block` tokens."
    ),
    "sequence": (
        "One of several texts decoded at once. A batch step's time belongs to all its sequences:\n"
        "each round counts its share, and exports show one lane a sequence."
    ),
    "host gap": (
        "A round's wall time less its top-level spans: the host makes the device wait. Derived,\n"
        "so phases always sum to the wall."
    ),
    "forwards": (
        "How a model's forwards were computed (setting `path`): `flat`, by one function over its\n"
        "weights, taken where it gives the module's logits; or by the Hugging Face `modules`.\n"
        "`replayed`: short ones over a chain (32 tokens at most, no tree) were recorded once, as\n"
        "CUDA graphs on a GPU, as TorchScript on a CPU, where replays give the same logits\n"
        "(setting `graphs`). The capture's header says which (`path`, `graphs`), and why not flat\n"
        "or not replayed (`path_reason`, `graphs_reason`). The recheck goes by the modules as\n"
        "they are."
    ),
    "always-valid p-value": (
        "One over the largest fortune a gambler against 'all is well' has made so far. Below a\n"
        "with probability a at most, however often one looks (Ville; arXiv 2210.01948)."
    ),
}
