pytest_plugins = (
    "pytester",
    "analytic.plugin",
    "baselines.plugin",
    "reports.plugin",
    "perf_tests.plugin",
)
