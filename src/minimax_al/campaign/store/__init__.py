"""Durable state of a campaign: its folder and database, the label history, the classes, idempotency keys."""
