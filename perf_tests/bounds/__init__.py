"""Tests of the model in analytic/: no torch, no GPU, seconds."""
