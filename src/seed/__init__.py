"""Seeding: a build's pre-rendered pages are brought into a cache."""
