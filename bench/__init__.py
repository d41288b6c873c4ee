"""Benchmarks: speed and size beside what they are compared with, in one run (``python -m bench``)."""
