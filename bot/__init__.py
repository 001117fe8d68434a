"""The process and its edges: Slack, HTTP, the clock, the environment."""

__version__ = "0.1.0"
