"""What the pages show and test_doc_commands.py does not simply run: what is not run and why,
what only has a help, what stands for something else, and what ends otherwise than well."""

from perf_tests.selftests.records import MODEL

ADOPTED = "test_adopting.py runs it, with the files of its page"
TESTS = "part of make test"

#: Why a command is not run here: the reason, and the commands.
NOT_RUN: dict[str, tuple[str, ...]] = {
    "needs a GPU": (
        "pytest -m gpu",
        "pytest -m gpu --benchmark-json=wall.json",
        "pytest -m gpu --perf-cases=perf_tests/engine_cases.toml",
        "pytest -m gpu --perf-cases=perf_tests/engine_cases.toml -k decode",
        "pytest -m gpu --perf-cases=perf_tests/estimate_cases.toml",
        "pytest -m gpu --perf-engine=eager,my_engine.py --perf-context=512",
        "pytest -m gpu --perf-engine=eager,perf_tests/examples/math_attention.py --perf-prompt=2048",
        "pytest -m gpu --perf-history=postgresql://user@host/database",
        "pytest -m gpu --perf-model=FOLDER",
        "pytest -m gpu --perf-update=missing",
        "ROOFGATE_SLOWDOWN=mlp-2 pytest -p perf_tests.proof.inject -m gpu -k decode-b1-c512",
        "make refresh",
        "python -m baselines refresh --sessions 5 -m gpu",
        "python -m baselines refresh --sessions 5 -m gpu -k decode",
        "python -m baselines refresh --sessions 5 -m gpu --perf-baselines=speed-baselines",
        "python -c 'import torch; p = torch.cuda.get_device_properties(0); print(p.name, p.multi_processor_count)'",
        "python -m perf_tests.dram_counters count",
        "python -m perf_tests.proof.gate --out runs/gate",
        "python -m perf_tests.proof.gate --same 10 --slowed 3",
        "python -m perf_tests.proof.overhead",
        "python -m perf_tests.proof.sessions --count 0 --slowdowns all",
        "python -m perf_tests.proof.sessions --count 10",
        "python -m perf_tests.proof.sessions --count 10 --slowdowns all --out runs/proof",
        "python -m perf_tests.proof.true_size --out runs/proof/sizes.csv",
    ),
    "needs a package index": (
        "pip install 'roofgate[history]'",
        "pip install -e '.[alerts]'",
        "pip install -e '.[torch]'",
        "pip install -e '/path/to/roofgate[torch]'",
        "pip install -e .",
        "pip install -e /path/to/roofgate",
    ),
    "writes to GitHub; test_alerts_github.py runs it against a server of its own": (
        "python -m reports alert RUN",
        "python -m reports alert RUN --perf-baselines=speed-baselines",
        "python -m reports watch --artifact NAME --hours 26",
    ),
    "lists the targets; test_house.py reads the list": ("make",),
    "part of .ci/run": ("make lint", "make long", "make test"),
    TESTS: (
        "pytest",
        "pytest -m analytic",
        "pytest -m analytic perf_tests/bounds/test_gpus.py",
        "pytest -m cpu",
        "pytest perf_tests/selftests/test_expectations.py",
        "pytest perf_tests/selftests/test_plan.py",
    ),
    "measures this machine for a minute; test_own_engine.py and the cpu lane run the same": (
        "make demo",
        "make demo USE_PYTHON=$(which python3)",
        "pytest -m cpu --perf-engine=perf_tests/examples/math_attention.py --perf-batch=1 --perf-context=128",
    ),
    "takes minutes; test_power.py runs it with fewer trials": ("python -m baselines power",),
    "takes minutes; test_flops.py compares what it wrote": ("python -m perf_tests.bounds.count_flops",),
    "rewrites a page; test_errors_page.py compares what it wrote": (
        "python -m perf_tests.bounds.naive_errors --write",
    ),
    "wants the proof's own runs; test_proof.py gives it some": (
        "python -m perf_tests.proof.aa runs/proof/session-* --out runs/proof/aa.csv",
        (
            "python -m perf_tests.proof.slowdowns --baseline runs/proof/session-* --sizes runs/proof/sizes.csv "
            "--runs kv-copy=runs/proof/kv-copy mlp-2=runs/proof/mlp-2 --out runs/proof/slowdowns.csv"
        ),
    ),
    "of another repository; test_foreign_folder.py runs it in one": ("pytest --perf-gpu=t4",),
    ADOPTED: (
        "pytest -m cpu -v",
        "pytest -m cpu --perf-out=runs/broken",
        "pytest -m cpu --perf-out=runs/repaired",
        "python -m baselines refresh --sessions 3 -m cpu --perf-baselines=speed-baselines",
        "python -m baselines show --perf-baselines=speed-baselines",
        "python -m baselines compare speed-baselines runs/broken",
        "python -m baselines compare speed-baselines runs/repaired",
        "python -m baselines trend --metric wall_s --perf-baselines=speed-baselines",
    ),
}

#: Commands that are named without what they need: their --help must be there.
NAMED = (
    "python -m analytic",
    "python -m analytic ceilings",
    "python -m analytic bounds | footprint | sweep | whatif | ceilings | gpus | models",
    "python -m baselines COMMAND",
    "python -m baselines refresh",
    "python -m perf_tests.dram_counters",
    "python -m perf_tests.proof.aa",
    "python -m reports alert",
    "python -m reports heatmap",
    "python -m reports render",
)

#: What stands in a command for something else: words, and whole commands.
STANDS_FOR = {
    "MODEL": MODEL,
    "NAME": MODEL,
    "KEY": "h100-sxm",
    "URL": "sqlite:///history.sqlite",
    "python -m baselines refresh --from RUN RUN RUN": "python -m baselines refresh --from run-0 run-1 run-2",
    "python -m baselines refresh --dry-run …": "python -m baselines refresh --dry-run --from run-0 run-1 run-2",
    "python -m baselines refresh --add …": "python -m baselines refresh --add --from run-0 run-1 run-2",
    "python -m baselines refresh --table FILE": "python -m baselines refresh --dry-run --table FILE --from run-0 run-1 "
    "run-2",
    "python -m reports heatmap MODEL --gpu KEY …": "python -m reports heatmap MODEL --gpu KEY --phase decode "
    "--batch 1,8 --context 512,2048",
}

#: How a command ends that does not end with 0, and why.
EXITS = {
    "python -m baselines compare A B --strict --perf-baselines FOLDER --json": (
        1,
        "one run a side does not see what its case promises, which --strict refuses",
    ),
}
