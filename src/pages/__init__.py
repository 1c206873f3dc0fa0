"""Who makes pages."""
