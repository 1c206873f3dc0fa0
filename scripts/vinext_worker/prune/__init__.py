"""Removing the entries of builds that nobody is served any more."""
