"""The tests, the cases, and the harness that measures. See perf_tests/README.md."""
