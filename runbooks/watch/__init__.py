"""How trouble is noticed and told: schedules, alerts, escalation, digests."""
