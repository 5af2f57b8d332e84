"""Odd settings and names of models: each is added to a command line that runs."""

from dataclasses import dataclass

HUGE = 2**40
MAX_NAME_CHARS = 57
"""Letters of an option in a case's name."""


@dataclass(frozen=True)
class OddOptions:
    """Options added to a healthy run, and whether it may end well."""

    options: tuple[str, ...]
    runs: bool = False

    @property
    def name(self) -> str:
        """The options as they are typed."""
        return " ".join(
            each
            if len(each) <= MAX_NAME_CHARS
            else f"{each[:MAX_NAME_CHARS]}... ({len(each)} letters)"
            for each in self.options
        )


def given(*options: str, runs: bool = False) -> OddOptions:
    """Return options given together."""
    return OddOptions(options, runs)


def given_set(*pairs: str, runs: bool = False) -> OddOptions:
    """Return options given with `--set`."""
    return OddOptions(tuple(each for pair in pairs for each in ("--set", pair)), runs)


NUMBERS = [
    given("--depth", "1000000"),
    given("--depth", str(HUGE)),
    given("--depth", str(10**30)),
    given("--depth", "1025"),
    given("--batch", "1000000"),
    given("--batch", str(HUGE)),
    given("--context", "1000000000"),
    given("--context", str(2**62)),
    given("--context", "9" * 400),
    given("--max-new-tokens", "1000000000000"),
    given("--max-new-tokens", "100000000"),
    given("--stops", "1000000000"),
    given("--stops", str(2**62)),
    given("--cache", "sink-window", "--window", str(HUGE)),
    given("--cache", "sink-window", "--window", "8", "--set", f"sinks={HUGE}"),
    given("--cache", "sink-window", "--window", "8", "--set", "sinks=1000000000"),
    given("--cache", "sink-window", "--window", str(HUGE), "--set", f"block={HUGE}"),
    given("--shape", "static-tree", "--set", "widths=9,9,9,9,9,9", "--depth", "6"),
    given("--shape", "static-tree", "--set", "widths=" + "1," * 100_000 + "1", runs=True),
    given("--shape", "static-tree", "--set", "widths=" + "9" * 4000 + ",9"),
    given(
        "--shape", "static-tree", "--depth", "1000", "--set", "widths=" + "9" * 3000 + ",9" * 999
    ),
    given("--shape", "static-tree", "--set", "widths=" + "9" * 10_000),
    given("--shape", "dynamic-tree", "--set", "nodes=1000000"),
    given("--shape", "dynamic-tree", "--set", "branch=1000000"),
    given("--shape", "dynamic-tree", "--set", "branch=1000", "--depth", "1000"),
    given("--shape", "dynamic-tree", "--set", f"branch={HUGE}"),
    given("--top-k", str(HUGE), "--temperature", "1", runs=True),
    given("--top-k", str(2**70), "--temperature", "1"),
    given("--seed", str(2**70)),
    given("--threads", "1000000"),
    given("--temperature", "1e308"),
    given("--temperature", "nan"),
    given("--top-p", "nan", "--temperature", "1"),
    given("--workload", "ppl", "--set", "score_step=1000000000", runs=True),
    given("--workload", "ppl", "--set", f"score_step={2**70}"),
    given("--workload", "overlap", "--set", f"view={HUGE}", runs=True),
    given("--workload", "overlap", "--set", f"offset={2**62}"),
    given("--workload", "overlap", "--set", "view=8", "--set", f"gap={2**62}"),
    given_set("plain_steps=1000000000"),
    given_set(f"plain_steps={2**62}"),
    given_set(f"recheck_context={2**70}", runs=True),
    given_set("confidence=nan"),
    given_set("noise=1e400"),
    given("--drafter", "ngram", "--set", f"ngram={HUGE}"),
    given("--drafter", "ngram", "--set", "ngram=1000000"),
    given("--drafter", "layer-skip", "--set", "exit_layer=1000000"),
    given("--drafter", "layer-skip", "--set", f"exit_layer={2**70}"),
    given("--repeats", "1000000000"),
    given("--repeats", "100000"),
    given(
        *(
            each
            for field in ("depth", "seed", "stops", "context", "top_k", "batch", "branch")
            for each in ("--sweep", f"{field}=" + ",".join(map(str, range(1, 60))))
        )
    ),
    given("--depth-policy", "survival", "--depth", "1000000"),
    given("--depth-policy", "hf-heuristic", "--depth", "1000000"),
    given("--backend", "hf-assisted", "--depth", "1000000"),
    given("--backend", "hf-assisted", "--max-new-tokens", "100000000"),
    given("--backend", "hf-prompt-lookup", "--drafter", "ngram", "--set", f"ngram={HUGE}"),
    given("--backend", "hf-prompt-lookup", "--drafter", "ngram", "--depth", "1000000"),
    given("--backend", "synthetic", "--batch", "1000000"),
    given("--backend", "synthetic", "--depth", "1000000"),
    given("--backend", "synthetic", "--stops", "1000000000"),
    given("--backend", "synthetic", "--max-new-tokens", "1000000000000"),
    given("--backend", "synthetic", "--context", str(2**62)),
    given("--depth", "100", "--batch", "4", "--load-format", "dummy", runs=True),
]
WORDS = [
    given("--device", "cuda:99"),
    given("--device", "tpu"),
    given("--device", ""),
    given("--device", "meta"),
    given("--device", "cpu:7", runs=True),
    given("--device", "cuda:-1"),
    given("--device", "cuda:99999999999999"),
    given("--device", "mps"),
    given("--device", "xla"),
    given("--device", "vulkan"),
    given("--dtype", "float7"),
    given("--dtype", ""),
    given("--dtype", "int8"),
    given("--dtype", "complex64"),
    given("--dtype", "float16", runs=True),
    given("--backend", "nosuch"),
    given("--drafter", "nosuch"),
    given("--cache", "../dense"),
    given("--workload", "nosuch"),
    given("--detail", "all"),
    given("--load-format", "gguf"),
    given("--profile", "nosuch"),
    given("--profile", "nosuch.toml"),
    given_set("nosuch=1"),
    given_set("depth"),
    given_set("depth=x"),
    given_set("depth="),
    given_set("target="),
    given_set("seed=1.5"),
    given_set("ignore_eos=perhaps"),
]
NAMES = [
    given(option, name)
    for option in ("--target", "--draft")
    for name in (
        "models/nosuch",
        "./nosuch",
        "../nosuch",
        "/nosuch/model",
        "~nosuchuser/model",
        "~/nosuch-model",
        "nosuch",
        "a/b/c",
        "org/name/",
        "org//name",
        "http://example.invalid/x",
        "org/na me",
        "org/name\n",
        "-x/y",
        "pocket/tarpet",
        "pocket/",
        "pocket/../draft",
        "pocket//etc",
        "x" * 300,
        "x/" * 3000,
        "/dev/null",
        "/dev/zero",
        "/etc/passwd",
        "/",
        ".",
        "",
        " ",
        "org/\u202ename",
        "org/\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"),
    )
] + [
    given("--target", "pocket/eagle"),
    given("--draft", "pocket/eagle"),
    given("--draft", "pocket/target"),
    given("--drafter", "eagle", "--draft", "pocket/target"),
    given("--drafter", "eagle", "--draft", "pocket/eagle"),
    given("--drafter", "eagle", "--draft", "models/nosuch"),
    given("--drafter", "eagle", "--draft", "./nosuch"),
    given("--drafter", "eagle", "--draft", "pocket/tarpet"),
]
SETTINGS = [*NUMBERS, *WORDS, *NAMES]
