"""Durable state of a campaign: its database, the label history, idempotency keys."""
