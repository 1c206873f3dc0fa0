"""Bindings of the Worker, behind the protocols of the rest."""
