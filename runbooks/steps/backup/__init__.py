"""The steps that make, prove, restore and remove backups."""
