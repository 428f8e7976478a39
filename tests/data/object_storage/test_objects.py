import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from minimax_al.data.object_storage import objects
from minimax_al.data.object_storage.objects import (
    ATTEMPTS,
    list_objects,
    local_copy,
    object_state,
    read_object,
    read_start,
    write_object,
)
from minimax_al.data.object_storage.urls import redacted
from minimax_al.errors import StorageError, UnreadableImageError

from ...support.object_store import KEY, SECRET, TOKEN  # noqa: TID252
from ...support.storage import forget  # noqa: TID252

CONTENT = random.Random(0).randbytes(5000)


def test_an_object_is_read_as_it_was_written_and_then_from_the_cache(bucket, storage_settings):
    write_object(f"{bucket}/a.bin", CONTENT)
    assert read_object(f"{bucket}/a.bin") == CONTENT
    assert read_object(f"{bucket}/a.bin") == CONTENT
    assert storage_settings.gets("a.bin") == 1


def test_a_listing_has_every_object_once_in_a_fixed_order_with_its_state(bucket):
    names = [f"{folder}{number}.jpg" for folder in ("", "b/", "a/", "a/c/") for number in range(3)]
    for name in names:
        write_object(f"{bucket}/pool/{name}", name.encode())
    write_object(f"{bucket}/elsewhere.jpg", b"")
    found = list(list_objects(f"{bucket}/pool"))
    assert sorted(each.name for each in found) == sorted(names)
    assert found == list(list_objects(f"{bucket}/pool"))
    assert all(each.state == object_state(f"{bucket}/pool/{each.name}") for each in found)


def test_a_changed_object_has_another_version_and_is_read_anew(bucket):
    write_object(f"{bucket}/a.bin", b"first")
    before = object_state(f"{bucket}/a.bin")
    assert read_object(f"{bucket}/a.bin", before) == b"first"
    write_object(f"{bucket}/a.bin", b"other")
    after = object_state(f"{bucket}/a.bin")
    assert after != before
    assert read_object(f"{bucket}/a.bin", after) == b"other"


def test_only_the_first_bytes_are_requested_for_a_header(bucket, storage_settings):
    write_object(f"{bucket}/a.bin", CONTENT)
    assert read_start(f"{bucket}/a.bin", 100) == CONTENT[:100]
    assert [extent for method, _, extent in storage_settings.requests if method == "GET"] == ["bytes=0-99"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("503 Slow Down", "SlowDown"),
        ("500 Internal Server Error", "InternalError"),
        ("503 Service Unavailable", "ServiceUnavailable"),
    ],
)
def test_throttling_is_retried_and_said(bucket, storage_settings, caplog, status, code):
    write_object(f"{bucket}/a.bin", CONTENT)
    storage_settings.fail("a.bin", status, code, times=ATTEMPTS - 1)
    assert read_object(f"{bucket}/a.bin") == CONTENT
    assert "requests are repeated" in caplog.text


def test_half_a_body_is_retried(bucket, storage_settings):
    write_object(f"{bucket}/a.bin", CONTENT)
    storage_settings.halve("a.bin", times=2)
    assert read_object(f"{bucket}/a.bin") == CONTENT
    assert storage_settings.gets("a.bin") == 3


def test_an_object_whose_body_always_ends_early_is_at_fault_itself(bucket, storage_settings):
    write_object(f"{bucket}/a.bin", CONTENT)
    storage_settings.halve("a.bin", times=ATTEMPTS)
    with pytest.raises(UnreadableImageError, match=r"in 6 attempts: .*(arrive|checksum)"):
        read_object(f"{bucket}/a.bin")


def test_an_object_that_changed_since_the_listing_is_read_whole(bucket):
    write_object(f"{bucket}/a.bin", b"short")
    listed = object_state(f"{bucket}/a.bin")
    write_object(f"{bucket}/a.bin", CONTENT)
    assert read_object(f"{bucket}/a.bin", listed) == CONTENT


def test_a_missing_object_is_not_requested_again(bucket, storage_settings):
    with pytest.raises(UnreadableImageError, match="it does not exist"):
        read_object(f"{bucket}/none.jpg")
    assert len([path for _, path, _ in storage_settings.requests if "none" in path]) == 1


def test_a_vanished_server_ends_the_run_in_one_sentence(bucket, storage_settings):
    write_object(f"{bucket}/a.bin", CONTENT)
    storage_settings.stop()
    forget()
    with pytest.raises(StorageError, match=r"does not answer properly .* nothing is lost") as raised:
        read_object(f"{bucket}/a.bin")
    assert "\n" not in str(raised.value)


def test_an_object_that_fails_while_others_are_read_is_at_fault_itself(bucket, storage_settings, monkeypatch):
    write_object(f"{bucket}/a.bin", CONTENT)
    write_object(f"{bucket}/b.bin", CONTENT)
    storage_settings.fail("a.bin", "500 Internal Server Error", "InternalError", times=ATTEMPTS)
    monkeypatch.setattr("time.sleep", lambda _: None)
    check, attempts = objects._raise_if_lasting, iter(range(1, 100))

    def check_while_others_are_read(*fault):
        check(*fault)
        if next(attempts) == ATTEMPTS:
            read_object(f"{bucket}/b.bin")

    monkeypatch.setattr(objects, "_raise_if_lasting", check_while_others_are_read)
    with pytest.raises(UnreadableImageError, match=f"in {ATTEMPTS} attempts"):
        read_object(f"{bucket}/a.bin")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400 Bad Request", "ExpiredToken"),
        ("403 Forbidden", "InvalidAccessKeyId"),
        ("403 Forbidden", "SignatureDoesNotMatch"),
    ],
)
def test_a_refused_credential_ends_the_run_and_a_later_one_continues(bucket, storage_settings, status, code):
    write_object(f"{bucket}/a.bin", CONTENT)
    storage_settings.fail("a.bin", status, code, times=9)
    storage_settings.fail("a.bin", status, code, times=9, method="HEAD")
    with pytest.raises(StorageError, match=f"refuses the credentials .*{code}") as raised:
        read_object(f"{bucket}/a.bin")
    assert not any(secret in str(raised.value) for secret in (KEY, SECRET, TOKEN))
    storage_settings.failures.clear()
    assert read_object(f"{bucket}/a.bin") == CONTENT


def test_a_denied_object_is_at_fault_itself(bucket, storage_settings):
    write_object(f"{bucket}/a.bin", CONTENT)
    storage_settings.fail("a.bin", "403 Forbidden", "AccessDenied", times=9)
    with pytest.raises(UnreadableImageError, match="access to it is denied"):
        read_object(f"{bucket}/a.bin")


def test_missing_credentials_are_named(bucket, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    forget()
    with pytest.raises(StorageError, match="none are in the environment"):
        read_object(f"{bucket}/a.bin")


def test_a_missing_bucket_cannot_be_listed(storage_settings):
    with pytest.raises(StorageError, match="'s3://no-such-bucket/x' cannot be listed: it does not exist"):
        list(list_objects("s3://no-such-bucket/x"))


def test_many_threads_read_at_once(bucket):
    contents = {f"{bucket}/{number}.bin": os.urandom(100) for number in range(64)}
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write_object, contents.keys(), contents.values()))
        assert list(threads.map(read_object, contents)) == list(contents.values())


def test_a_copy_of_a_file_follows_its_object_and_replaces_the_former_one(bucket):
    write_object(f"{bucket}/pool.csv", b"path\na.jpg\n")
    first = local_copy(f"{bucket}/pool.csv")
    assert first.read_bytes() == b"path\na.jpg\n"
    write_object(f"{bucket}/pool.csv", b"path\nb.jpg\n")
    second = local_copy(f"{bucket}/pool.csv")
    assert second.read_bytes() == b"path\nb.jpg\n"
    assert not first.exists()


def test_secrets_of_the_environment_are_redacted(storage_settings):
    assert not any(secret in redacted(f"{SECRET} of {KEY}, {TOKEN}") for secret in (KEY, SECRET, TOKEN))
