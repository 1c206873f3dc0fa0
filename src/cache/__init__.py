"""Entries that outlive a request, their keys and tags, and the handlers that store them."""
