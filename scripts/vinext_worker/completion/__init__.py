"""Completing the command line in a shell."""
