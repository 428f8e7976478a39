from ...support.storage import bucket, storage_settings  # noqa: F401, TID252 - fixtures
