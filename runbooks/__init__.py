"""What stays true when Slack is down: files, steps, records."""
