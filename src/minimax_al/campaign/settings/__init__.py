"""Settings of a campaign: fields, recipes by name, row in the database, form KEY=VALUE."""
