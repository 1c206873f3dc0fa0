"""Invalidating pages of the deployed app."""
