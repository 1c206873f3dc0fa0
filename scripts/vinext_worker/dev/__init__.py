"""Building a site and serving it locally."""
