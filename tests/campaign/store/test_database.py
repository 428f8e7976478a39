import gc
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import event, text

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.database import Store, parse_url, sqlite_url
from minimax_al.campaign.store.migrations import Migration, create_tables, latest_version, migrate, version_of
from minimax_al.errors import CampaignError, ConfigurationError, DataError


@pytest.fixture(autouse=True)
def _quick_disk():
    """Here the disk is waited for."""


@pytest.fixture
def store(tmp_path):
    store = Store(sqlite_url(tmp_path / "campaign.db"), wait_seconds=0.05)
    store.use_write_ahead_log()
    with store.writing() as connection:
        create_tables(connection)
    yield store
    store.close()


def database(campaign):
    return campaign.folder / "campaign.db"


def test_a_commit_waits_for_the_disk(store):
    with store.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}  # 2 is FULL


def test_an_error_inside_leaves_nothing(store):

    def write_and_fail():
        with store.writing() as connection:
            connection.execute(text("INSERT INTO classes (position, name) VALUES (0, 'cat')"))
            raise RuntimeError("too bad")

    with pytest.raises(RuntimeError, match="too bad"):
        write_and_fail()
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM classes")).scalar() == 0


def test_a_forgotten_store_closes_its_connections(tmp_path):
    store = Store(sqlite_url(tmp_path / "forgotten.sqlite"))
    with store.reading() as connection:
        connection.execute(text("SELECT 1"))
        driver = connection.connection.driver_connection
    del store, connection
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        driver.execute("SELECT 1")


def test_a_lock_of_another_program_is_reported(make_campaign):
    campaign = make_campaign()
    impatient = make_campaign.track(Campaign.open(campaign.folder, wait_seconds=0.05))
    other = sqlite3.connect(database(campaign), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CampaignError, match=r"is locked by another process: wait .* nothing was changed"):
        impatient.label(1, "cat", author="ann")
    other.execute("COMMIT")
    other.close()
    impatient.label(1, "cat", author="ann")
    assert len(campaign.labels()) == 1


def test_a_writer_waits_for_another_process_and_reports_a_timeout(make_campaign):
    campaign = make_campaign()
    impatient = make_campaign.track(Campaign.open(campaign.folder, wait_seconds=0.05))
    with campaign.store.writing(), pytest.raises(CampaignError, match=r"by another writer for 0\.05 seconds"):
        impatient.label(1, "cat", author="ann")


def test_a_full_disk_is_reported_and_damages_nothing(make_campaign):
    campaign = make_campaign()
    campaign.label(1, "cat", author="ann")

    @event.listens_for(campaign.store.engine, "connect")
    def shrink(connection, _):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    campaign.store.engine.dispose()

    def label_until_it_is_full():
        for _ in range(200):
            campaign.label(list(range(1, 13)), "dog", author="b" * 500)

    with pytest.raises(CampaignError, match=r"has no room left on its disk: free some space, .* nothing was changed"):
        label_until_it_is_full()
    event.remove(campaign.store.engine, "connect", shrink)
    campaign.store.engine.dispose()
    with campaign.store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert campaign.labels()["a/000.png"] in ("cat", "dog")
    campaign.label(1, "cat", author="ann")


IN_A_CHILD = """
import os, resource, signal, sys
from minimax_al.campaign import Campaign
os.chdir(sys.argv[1])
{prepare}
try:
    campaign = Campaign.open(".")
    for _ in range(500):
        campaign.label(list(range(1, 13)), "cat", author="b" * 500)
except Exception as error:
    print(type(error).__name__, error)
"""


def say_in_a_child(folder, prepare):
    code = IN_A_CHILD.format(prepare=prepare)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_file_size_limit_is_reported(make_campaign):
    campaign = make_campaign()
    campaign.label(1, "dog", author="ann")
    limit = (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    )
    assert "StoreError the campaign's database" in say_in_a_child(campaign.folder, limit)
    with campaign.store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert campaign.labels()["a/000.png"] in ("cat", "dog")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs Unix permissions")
def test_an_unwritable_folder_is_reported(save_images):
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder is closed to other users
        folder = Path(name) / "campaign"
        Campaign.create(folder, save_images(), ["cat", "dog"], recipe="scratch").close()
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        for file in folder.iterdir():
            file.chmod(0o444)
        nobody = "os.setgid(65534); os.setuid(65534)" if os.geteuid() == 0 else ""
        said = say_in_a_child(folder, nobody)
        folder.chmod(0o755)
    assert said.startswith("StoreError the campaign's database")
    assert "allow" in said
    assert "writing in" in said


def test_a_newer_version_is_refused_and_left_as_it_is(make_campaign):
    campaign = make_campaign()
    with campaign.store.writing() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    campaign.close()
    before = database(campaign).read_bytes()
    with pytest.raises(CampaignError, match=r"schema version 99, .* upgrade minimax-al \(nothing was changed\)"):
        Campaign.open(campaign.folder)
    assert database(campaign).read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda file: file.write_bytes(b"no database" * 1000), "is not a database: it was overwritten"),
        (lambda file: file.write_bytes(b""), "holds no campaign: its creation was interrupted"),
        (lambda file: file.unlink(), "is not a campaign: make one with 'mal new'"),
    ],
)
def test_a_damaged_database_is_reported(make_campaign, damage, match):
    campaign = make_campaign()
    campaign.close()
    damage(database(campaign))
    with pytest.raises(CampaignError, match=match):
        Campaign.open(campaign.folder)


def test_a_missing_folder_is_reported(tmp_path):
    with pytest.raises(CampaignError, match=r"'.*nowhere' does not exist: make one"):
        Campaign.open(tmp_path / "nowhere")


@pytest.mark.parametrize("url", ["mysql://host/db", "postgresql://host/db", "no url", "sqlite+aiosqlite:///x.db"])
def test_other_databases_are_refused(url):
    with pytest.raises(ConfigurationError, match=r"is not a database for campaigns: .*postgresql\+psycopg://"):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3cret@h/db",
        "postgresql://u:s3cret@h:port/db?x=1",
        "mysql://h/db?password=s3cret",
        "postgresql+psycopg://u@h/db?password=s3cret",
        "sqlite:///x.db?sslpassword=s3cret",
        "//u:s3cret@h",
    ],
)
def test_no_message_shows_a_password(url):
    with pytest.raises(ConfigurationError, match=r"is not a database for campaigns|'\w*password' among its") as caught:
        parse_url(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs Unix processes")
def test_a_child_process_does_not_inherit_the_write_lock(store):
    ends = os.pipe()
    with store.writing():
        child = os.fork()
        if child == 0:
            os.close(ends[1])
            os.read(ends[0], 1)  # until the test has ended
            os._exit(0)
    try:
        with store.writing() as connection:
            assert connection.execute(text("SELECT count(*) FROM classes")).scalar() == 0
    finally:
        os.close(ends[1])
        os.waitpid(child, 0)
        os.close(ends[0])


def test_an_unreachable_server_is_reported(tmp_path, save_images):
    pytest.importorskip("psycopg")
    images, url = save_images(2), "postgresql+psycopg://u:secret@127.0.0.1:1/none"
    with pytest.raises(CampaignError, match="cannot be reached") as error:
        Campaign.create(tmp_path / "c", images, ["a", "b"], recipe="scratch", storage=url)
    assert "secret" not in str(error.value)
    # The address is not kept, so that another one can be given.
    assert not (tmp_path / "c" / "storage.json").exists()
    with Campaign.create(tmp_path / "c", images, ["a", "b"], recipe="scratch") as campaign:
        assert campaign.classes == ("a", "b")


def test_a_lost_connection_is_reported_and_reopened(campaign):
    if campaign.store.is_sqlite:
        pytest.skip("SQLite has no server")

    def write_and_lose():
        with campaign.store.writing() as connection:
            connection.execute(text("INSERT INTO classes (position, name) VALUES (9, 'heron')"))
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    # An older psycopg reports the server's words without their code.
    lost = "has closed the connection: see that the server runs|cannot be reached .*terminating connection"
    with pytest.raises(CampaignError, match=lost):
        write_and_lose()
    assert campaign.classes == ("cat", "dog", "n/a")
    campaign.label(1, "cat", author="ann")


def add_table(connection):
    connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY)"))


def fail(connection):
    connection.execute(text("CREATE TABLE half (id INTEGER PRIMARY KEY)"))
    raise RuntimeError("power cut")


def test_steps_are_taken_in_order_and_once(store):
    taken, now = [], latest_version()
    steps = tuple(Migration(now + n, f"step {n}", lambda _, n=n: taken.append(n)) for n in (2, 1, 3))
    assert latest_version(steps) == now + 3
    assert migrate(store, steps) == now + 3
    assert migrate(store, steps) == now + 3
    assert taken == [1, 2, 3]


def test_a_step_that_fails_leaves_the_version_before_it(store):
    with pytest.raises(RuntimeError, match="power cut"):
        migrate(
            store, (Migration(latest_version() + 1, "notes", add_table), Migration(latest_version() + 2, "half", fail))
        )
    with store.reading() as connection:
        tables = {row.name for row in connection.exec_driver_sql("SELECT name FROM sqlite_master")}
        assert version_of(connection) == latest_version() + 1
    assert "notes" in tables
    assert "half" not in tables


@pytest.mark.parametrize("text", ["ann\ud800", "\udfff", "a\udcffb"])
def test_half_a_character_is_refused_in_a_sentence(campaign, text):
    with pytest.raises(DataError, match=r"holds '\\ud[c-f8]\w\w', a lone surrogate, which no file can hold"):
        campaign.label(1, "cat", author=text)
    with pytest.raises(DataError, match="a lone surrogate"):
        campaign.label(f"{text}.png", "cat", author="ann")
    assert campaign.labels() == {}


def test_nul_is_kept_or_refused_in_a_sentence(campaign):
    if campaign.store.is_sqlite:
        campaign.label(1, "cat", author="a\x00b")
        assert campaign.undo("a\x00b").class_name == "cat"
        return
    with pytest.raises(DataError, match="holds the character NUL, which PostgreSQL cannot store"):
        campaign.label(1, "cat", author="a\x00b")
