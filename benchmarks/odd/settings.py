"""Odd settings and names of models: each an addition to a command line that runs."""

from dataclasses import dataclass

FAR = 2**40
SHOWN = 57
"""Letters of an option that a case is called by."""


@dataclass(frozen=True)
class Asked:
    """Options added to a healthy run, and whether it may end well."""

    options: tuple[str, ...]
    runs: bool = False

    @property
    def name(self) -> str:
        """The options as they are written."""
        return " ".join(
            each if len(each) <= SHOWN else f"{each[:SHOWN]}... ({len(each)} letters)"
            for each in self.options
        )


def one(*options: str, runs: bool = False) -> Asked:
    """Return options given together."""
    return Asked(options, runs)


def _set(*pairs: str, runs: bool = False) -> Asked:
    return Asked(tuple(each for pair in pairs for each in ("--set", pair)), runs)


NUMBERS = [
    one("--depth", "1000000"),
    one("--depth", str(FAR)),
    one("--depth", str(10**30)),
    one("--depth", "1025"),
    one("--batch", "1000000"),
    one("--batch", str(FAR)),
    one("--context", "1000000000"),
    one("--context", str(2**62)),
    one("--context", "9" * 400),
    one("--max-new-tokens", "1000000000000"),
    one("--max-new-tokens", "100000000"),
    one("--stops", "1000000000"),
    one("--stops", str(2**62)),
    one("--cache", "sink-window", "--window", str(FAR)),
    one("--cache", "sink-window", "--window", "8", "--set", f"sinks={FAR}"),
    one("--cache", "sink-window", "--window", "8", "--set", "sinks=1000000000"),
    one("--cache", "sink-window", "--window", str(FAR), "--set", f"block={FAR}"),
    one("--shape", "static-tree", "--set", "widths=9,9,9,9,9,9", "--depth", "6"),
    one("--shape", "static-tree", "--set", "widths=" + "1," * 100_000 + "1", runs=True),
    one("--shape", "static-tree", "--set", "widths=" + "9" * 4000 + ",9"),
    one("--shape", "static-tree", "--depth", "1000", "--set", "widths=" + "9" * 3000 + ",9" * 999),
    one("--shape", "static-tree", "--set", "widths=" + "9" * 10_000),
    one("--shape", "dynamic-tree", "--set", "nodes=1000000"),
    one("--shape", "dynamic-tree", "--set", "branch=1000000"),
    one("--shape", "dynamic-tree", "--set", "branch=1000", "--depth", "1000"),
    one("--shape", "dynamic-tree", "--set", f"branch={FAR}"),
    one("--top-k", str(FAR), "--temperature", "1", runs=True),
    one("--top-k", str(2**70), "--temperature", "1"),
    one("--seed", str(2**70)),
    one("--threads", "1000000"),
    one("--temperature", "1e308"),
    one("--temperature", "nan"),
    one("--top-p", "nan", "--temperature", "1"),
    one("--workload", "ppl", "--set", "score_step=1000000000", runs=True),
    one("--workload", "ppl", "--set", f"score_step={2**70}"),
    one("--workload", "overlap", "--set", f"view={FAR}", runs=True),
    one("--workload", "overlap", "--set", f"offset={2**62}"),
    one("--workload", "overlap", "--set", "view=8", "--set", f"gap={2**62}"),
    _set("plain_steps=1000000000"),
    _set(f"plain_steps={2**62}"),
    _set(f"recheck_context={2**70}", runs=True),
    _set("confidence=nan"),
    _set("noise=1e400"),
    one("--drafter", "ngram", "--set", f"ngram={FAR}"),
    one("--drafter", "ngram", "--set", "ngram=1000000"),
    one("--drafter", "layer-skip", "--set", "exit_layer=1000000"),
    one("--drafter", "layer-skip", "--set", f"exit_layer={2**70}"),
    one("--repeats", "1000000000"),
    one("--repeats", "100000"),
    one(
        *(
            each
            for field in ("depth", "seed", "stops", "context", "top_k", "batch", "branch")
            for each in ("--sweep", f"{field}=" + ",".join(map(str, range(1, 60))))
        )
    ),
    one("--depth-policy", "survival", "--depth", "1000000"),
    one("--depth-policy", "hf-heuristic", "--depth", "1000000"),
    one("--backend", "hf-assisted", "--depth", "1000000"),
    one("--backend", "hf-assisted", "--max-new-tokens", "100000000"),
    one("--backend", "hf-prompt-lookup", "--drafter", "ngram", "--set", f"ngram={FAR}"),
    one("--backend", "hf-prompt-lookup", "--drafter", "ngram", "--depth", "1000000"),
    one("--backend", "synthetic", "--batch", "1000000"),
    one("--backend", "synthetic", "--depth", "1000000"),
    one("--backend", "synthetic", "--stops", "1000000000"),
    one("--backend", "synthetic", "--max-new-tokens", "1000000000000"),
    one("--backend", "synthetic", "--context", str(2**62)),
    one("--depth", "100", "--batch", "4", "--load-format", "dummy", runs=True),
]
WORDS = [
    one("--device", "cuda:99"),
    one("--device", "tpu"),
    one("--device", ""),
    one("--device", "meta"),
    one("--device", "cpu:7", runs=True),
    one("--device", "cuda:-1"),
    one("--device", "cuda:99999999999999"),
    one("--device", "mps"),
    one("--device", "xla"),
    one("--device", "vulkan"),
    one("--dtype", "float7"),
    one("--dtype", ""),
    one("--dtype", "int8"),
    one("--dtype", "complex64"),
    one("--dtype", "float16", runs=True),
    one("--backend", "nosuch"),
    one("--drafter", "nosuch"),
    one("--cache", "../dense"),
    one("--workload", "nosuch"),
    one("--detail", "all"),
    one("--load-format", "gguf"),
    one("--profile", "nosuch"),
    one("--profile", "nosuch.toml"),
    _set("nosuch=1"),
    _set("depth"),
    _set("depth=x"),
    _set("depth="),
    _set("target="),
    _set("seed=1.5"),
    _set("ignore_eos=perhaps"),
]
NAMES = [
    one(option, name)
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
    one("--target", "pocket/eagle"),
    one("--draft", "pocket/eagle"),
    one("--draft", "pocket/target"),
    one("--drafter", "eagle", "--draft", "pocket/target"),
    one("--drafter", "eagle", "--draft", "pocket/eagle"),
    one("--drafter", "eagle", "--draft", "models/nosuch"),
    one("--drafter", "eagle", "--draft", "./nosuch"),
    one("--drafter", "eagle", "--draft", "pocket/tarpet"),
]
SETTINGS = [*NUMBERS, *WORDS, *NAMES]
