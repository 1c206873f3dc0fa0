"""How commands show results and logs."""
