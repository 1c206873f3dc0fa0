"""Removing the entries of builds that are no longer served."""
