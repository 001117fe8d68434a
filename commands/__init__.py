"""The words people type, one file each; no Slack, no SQL."""
