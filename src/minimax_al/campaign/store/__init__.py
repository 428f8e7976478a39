"""Durable state of a campaign: database, schema, migrations, label history, idempotency keys, classes."""
