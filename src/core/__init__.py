"""Code that every other package builds on."""
