"""Bindings of the Worker, as the rest wants them."""
