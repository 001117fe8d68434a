"""Measures Maint against named limits, each as a ratio within one run: `make bench`."""
