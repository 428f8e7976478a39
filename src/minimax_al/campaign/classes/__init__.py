"""Classes of a campaign: rules of their names, and their rows in the database."""
