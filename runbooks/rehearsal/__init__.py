"""A runbook's own tests: its runs are carried out by the engine as ever, and nothing outside is touched."""
