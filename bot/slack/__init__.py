"""The edge to Slack: the only place, with the sandbox, that knows its libraries."""
