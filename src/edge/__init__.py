"""The only code that touches `js` and `pyodide`: what the Workers runtime gives, as the rest of the Worker wants it."""
