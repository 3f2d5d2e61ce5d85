"""Benchmarks that compare medians within one run, because machines are noisy."""
