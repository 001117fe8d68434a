"""How Maint speaks first: schedules, alerts, escalation, digests."""
