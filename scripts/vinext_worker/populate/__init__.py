"""Putting a build's entries into the cache of the deployed app, before the build goes live."""
