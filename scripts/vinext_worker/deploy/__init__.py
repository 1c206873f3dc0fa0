"""Build, copy, populate, deploy, check: in the order in which nothing live is ever without its pages."""
