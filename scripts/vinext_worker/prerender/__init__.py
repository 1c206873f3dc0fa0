"""Rendering a Python site's pages ahead of time, in the local runtime."""
