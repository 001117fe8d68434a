"""Signed heads of the audit chain, and the places outside the database that keep them."""
