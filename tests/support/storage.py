"""Fixtures of object storage for every room's tests."""

import uuid

import pytest

pytest.importorskip("s3fs", reason="extra remote")
pytest.importorskip("moto", reason="the S3 server of the tests")

from minimax_al.data.object_storage import objects
from minimax_al.data.object_storage.file_systems import file_system, forget_connections

from .object_store import environment, object_store


@pytest.fixture
def storage_settings(tmp_path, monkeypatch):
    """A server, its settings in the environment, an empty cache, and pauses of no length."""
    with object_store() as store:
        for name, value in environment(store, tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(objects, "FIRST_PAUSE_SECONDS", 0.0)
        forget()
        yield store
        forget()


@pytest.fixture
def bucket(storage_settings):
    """The URL of an empty bucket; `storage_settings` is its server."""
    url = f"s3://pool-{uuid.uuid4().hex[:8]}"
    file_system(url).mkdir(url)
    storage_settings.requests.clear()
    return url


def forget():
    """Forget everything that this process knows of the storage."""
    forget_connections()
    objects.object_cache.cache_clear()
    for known in (objects._checked, objects._successes, objects._warnings):
        known.clear()
