"""Contract with other file systems than S3: nothing that only S3 has is assumed of a listing, a state or an error.

The file systems are fsspec's own in memory, and subclasses that answer as those of GCS and Azure do; no cloud is asked.
"""

import errno
import itertools
import os
from io import BytesIO
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="extra remote")

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from minimax_al.data.locations.location import copy_image, is_there, list_images, locate
from minimax_al.data.object_storage import objects
from minimax_al.data.object_storage.file_systems import forget_connections
from minimax_al.data.object_storage.objects import (
    list_objects,
    local_copy,
    object_state,
    read_object,
    read_start,
    write_object,
)
from minimax_al.errors import StorageError, UnreadableImageError

from ...support.storage import forget  # noqa: TID252


class LikeGcs(MemoryFileSystem):
    """Listing in no order, with the folder's own marker among its objects, and an `etag` per generation."""

    protocol = "likegcs"
    store, pseudo_dirs, written = {}, [""], {}
    generations = itertools.count()

    def pipe_file(self, path, value, **options):
        super().pipe_file(path, value, **options)
        LikeGcs.written[self._strip_protocol(path)] = next(LikeGcs.generations)

    def info(self, path, **options):
        found = super().info(path, **options)
        return self._described(found)

    def ls(self, path, detail=True, **options):
        found = [self._described(each) for each in super().ls(path, detail=True, **options)]
        marker = {"name": self._strip_protocol(path) + "/", "size": 0, "type": "file"}
        return [*reversed(found), marker] if self.isdir(path) else found

    @staticmethod
    def _described(found):
        kept = {"name": found["name"], "size": found["size"], "type": found["type"]}
        return kept if found["type"] == "directory" else kept | {"etag": f"CK{LikeGcs.written[found['name']]}="}

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("likegcs://", "memory://"))


class LikeAzure(MemoryFileSystem):
    """Listing that marks folders by a slash, with `last_modified`, and with errors of `azure.core`."""

    protocol = "likeazure"
    store, pseudo_dirs, written = {}, [""], {}
    versions = itertools.count(2000)

    def pipe_file(self, path, value, **options):
        super().pipe_file(path, value, **options)
        LikeAzure.written[self._strip_protocol(path)] = f"{next(LikeAzure.versions)}-01-01 00:00:00"

    def info(self, path, **options):
        return self._described(super().info(path, **options))

    def ls(self, path, detail=True, **options):
        return [self._described(each) for each in super().ls(path, detail=True, **options)]

    @staticmethod
    def _described(found):
        if found["type"] == "directory":
            return {"name": found["name"].rstrip("/") + "/", "size": None, "type": "directory"}
        return {
            **{key: found[key] for key in ("name", "size", "type")},
            "last_modified": LikeAzure.written[found["name"]],
        }

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("likeazure://", "memory://"))


fsspec.register_implementation("likegcs", LikeGcs, clobber=True)
fsspec.register_implementation("likeazure", LikeAzure, clobber=True)


@pytest.fixture(params=["memory", "likegcs", "likeazure"])
def url(request, tmp_path, monkeypatch):
    """A URL with three objects in two folders."""
    monkeypatch.setenv("MINIMAX_AL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(objects, "FIRST_PAUSE_SECONDS", 0.0)
    forget()
    url = f"{request.param}://bucket-{tmp_path.name}/pool"
    for number, name in enumerate(("b/2.png", "a/1.png", "a/.hidden/x.png", "3.png")):
        write_object(f"{url}/{name}", image_bytes(number))
    yield url
    forget_connections()
    forget()


def image_bytes(number):
    file = BytesIO()
    Image.new("RGB", (9, 7), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


def test_a_listing_is_in_a_fixed_order_without_folders(url):
    assert [found.name for found in list_objects(url)] == ["3.png", "a/1.png", "a/.hidden/x.png", "b/2.png"]
    assert [found.name for found in list_images(locate(url))] == ["3.png", "a/1.png", "b/2.png"]


def test_the_state_of_a_listing_is_that_of_the_object(url):
    for found in list_objects(url):
        forget()
        assert object_state(f"{url}/{found.name}") == found.state
        assert found.state.size_bytes == len(read_object(f"{url}/{found.name}"))


def test_another_content_is_another_version_and_is_read_anew(url):
    address = f"{url}/3.png"
    assert read_object(address) == image_bytes(3)
    before = object_state(address)
    write_object(address, image_bytes(9))
    forget()
    assert object_state(address).version != before.version
    assert read_object(address) == image_bytes(9)
    assert read_start(address, 8) == b"\x89PNG\r\n\x1a\n"


def test_an_object_that_is_gone_is_at_fault_itself(url, tmp_path):
    assert is_there(f"{url}/3.png")
    assert not is_there(f"{url}/nothing.png")
    with pytest.raises(UnreadableImageError, match="it does not exist"):
        read_object(f"{url}/nothing.png")
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        copy_image(f"{url}/nothing.png", tmp_path / "copy.png")
    with pytest.raises(StorageError, match=r"cannot be listed: it does not exist"):
        list(list_objects(f"{url}/nowhere"))


def test_a_full_disk_is_not_taken_for_a_fault_of_the_storage(url, monkeypatch, tmp_path):
    asked = []

    def full(_, __, target):
        asked.append(1)
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(type(objects.file_system(url)), "get_file", full)
        with pytest.raises(StorageError, match=r"cannot be copied to .*: No space left on device; make room there, or"):
            local_copy(f"{url}/3.png")
    assert len(asked) == 1
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert local_copy(f"{url}/3.png").read_bytes() == image_bytes(3)


def fault(name, module, **fields):
    """An error as a library of a cloud raises it; its class has the name, but is not the library's."""
    made = type(name, (Exception,), {"__module__": module})("the token abc has expired")
    vars(made).update(fields)
    return made


EXPIRED = {
    "gcsfs, status 401": fault("HttpError", "gcsfs.retry", code=401, message="Invalid Credentials"),
    "google.auth, renewal": fault("RefreshError", "google.auth.exceptions"),
    "google.auth, none": fault("DefaultCredentialsError", "google.auth.exceptions"),
    "azure, refused": fault("ClientAuthenticationError", "azure.core.exceptions", status_code=401),
    "azure, none": fault("CredentialUnavailableError", "azure.identity"),
    "aiohttp, status 401": fault("ClientResponseError", "aiohttp", status=401),
}


@pytest.mark.parametrize("error", EXPIRED.values(), ids=EXPIRED)
def test_an_expired_credential_ends_the_run_at_once_whatever_the_library(url, monkeypatch, error):
    asked = []

    def refused(*_, **__):
        asked.append(1)
        raise error

    monkeypatch.setattr(type(objects.file_system(url)), "cat_file", refused)
    with pytest.raises(StorageError, match=r"refuses the credentials .* renew them in the environment, then run the"):
        read_object(f"{url}/3.png")
    assert len(asked) == 1


DENIED = {
    "gcsfs": fault("HttpError", "gcsfs.retry", code=403, message="Forbidden"),
    "azure": fault("HttpResponseError", "azure.core.exceptions", status_code=403),
}


@pytest.mark.parametrize("error", DENIED.values(), ids=DENIED)
def test_a_denied_object_is_at_fault_itself(url, monkeypatch, error):
    def denied(*_, **__):
        raise error

    monkeypatch.setattr(type(objects.file_system(url)), "cat_file", denied)
    with pytest.raises(UnreadableImageError, match="access to it is denied"):
        read_object(f"{url}/3.png")


def test_throttling_of_another_library_is_repeated(url, monkeypatch):
    answers = [fault("HttpError", "gcsfs.retry", code=429), fault("HttpResponseError", "azure", status_code=503)]
    system = type(objects.file_system(url))
    read = system.cat_file

    def throttled(*arguments, **options):
        if answers:
            raise answers.pop()
        return read(*arguments, **options)

    monkeypatch.setattr(system, "cat_file", throttled)
    assert read_object(f"{url}/3.png") == image_bytes(3)
