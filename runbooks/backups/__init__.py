"""Backups: which are kept, how they are encrypted, and the places where they are."""
