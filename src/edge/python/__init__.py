"""Pages made by Python code in this Worker."""
