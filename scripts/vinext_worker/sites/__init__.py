"""The site that a command works on: a vinext app or a Python app, and its build."""
