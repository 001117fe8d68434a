"""Schedules, freezes and windows."""
