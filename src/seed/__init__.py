"""Seeding: bringing a build's pre-rendered pages into a cache."""
