"""Measurements of the running product; see `python -m benchmarks --help`."""
