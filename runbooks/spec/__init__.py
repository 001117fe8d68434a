"""What a runbook file may say."""
