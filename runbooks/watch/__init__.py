"""How trouble is noticed and told: alerts, from the first bad observation to the end."""
