"""What the printed quantities mean: each with its denominator, its identity and its source.

Plain words only, so that `specprof explain` can print them without loading anything.
"""

METRICS: dict[str, str] = {
    "round": "One draft, one verify pass, one verdict: draft K tokens, check them, commit some.",
    "drafted": "A token the draft proposed. K of them a round; K may vary.",
    "reached": (
        "A drafted token that was evaluated: all drafts before it in its round stood. Later ones\n"
        "say nothing about the models, so they are no honest denominator."
    ),
    "emitted": (
        "A committed token: accepted drafts, then the correction (after a rejection) or the bonus\n"
        "(after none). emitted = accepted + 1 in every round a stop doesn't cut short (theory I2)."
    ),
    "burst": "A stretch of decoding after one prefill; its rounds continue one another.",
    "accept_frac": (
        "accepted / drafted. Falls as K grows although nothing gets worse: not comparable across\n"
        "K. vLLM calls it the average draft acceptance rate."
    ),
    "alpha_cond": (
        "accepted / reached. The alpha of Leviathan et al. (arXiv 2211.17192) if all places were\n"
        "alike; comparable across K. Interval: block bootstrap over rounds."
    ),
    "c_i": (
        "Conditional acceptance at draft index i: accepted there / reached there. Falling c_i\n"
        "means the draft gets worse by itself along its chain."
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
        "rejection rule, 1 minus the total variation; agreement of the first choices under greedy."
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
    "host gap": (
        "A round's wall time less its top-level spans: the host makes the device wait. Derived,\n"
        "so phases always sum to the wall."
    ),
    "always-valid p-value": (
        "One over the largest fortune a gambler against 'all is well' has made so far. Below a\n"
        "with probability a at most, however often one looks (Ville; arXiv 2210.01948)."
    ),
}
