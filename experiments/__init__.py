"""Runs too long for a chapter: ``python -m experiments.<name>`` writes ``results/<name>.json``."""
