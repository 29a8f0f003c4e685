"""Results as a table, as a page with plots, and as a page of the documentation."""
