"""A Slack workspace on loopback, for tests and for trying the bot out. A development server."""
