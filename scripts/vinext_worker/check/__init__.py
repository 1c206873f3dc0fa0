"""Checking that a deployed app serves the build's pages from its cache."""
