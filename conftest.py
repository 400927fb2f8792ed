pytest_plugins = (
    "pytester",
    "baselines.plugin",
    "reports.plugin",
    "perf_tests.plugin",
)
