"""Records, the store of baselines, and verdicts. See baselines/README.md."""
