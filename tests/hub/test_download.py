"""A file is downloaded once, continued when interrupted, and has its own name only when it is whole and right."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request
from email.message import Message
from pathlib import Path

import pytest
from huggingface_hub import constants

from llm.exceptions import DownloadError, ModelNotFoundError
from llm.hub.download import FILE_ATTEMPTS, LISTING_ATTEMPTS, Downloader
from llm.hub.hub_client import HubClient, Interrupted, RemoteFile, RemoteRepository, _Redirects
from llm.hub.progress import DownloadProgress
from llm.testing.hub_stand_in import REVISION, HubStandIn

REPOSITORY = "acme/model"
DATA = bytes(range(256)) * 4096  # 1 MiB


class Bench:
    """A downloader at the stand-in, with what it reported and how long it would have waited."""

    def __init__(self, hub: HubStandIn, folder: Path) -> None:
        hub.repositories[REPOSITORY] = {"model.gguf": DATA, "config.json": b"{}"}
        self.folder = folder
        self.reports: list[DownloadProgress] = []
        self.pauses: list[float] = []
        self.downloader = Downloader(HubClient(hub.endpoint), report=self.reports.append, sleep=self.pauses.append)

    def fetch(self, name: str = "model.gguf") -> Path:
        repository = self.downloader.repository(REPOSITORY)
        self.downloader.fetch(repository, [file for file in repository.files if file.name == name], self.folder)
        return self.folder / name

    @property
    def part(self) -> Path:
        return self.folder / "model.gguf.part"


@pytest.fixture
def bench(hub: HubStandIn, tmp_path: Path) -> Bench:
    return Bench(hub, tmp_path / "models")


def test_a_file_arrives_whole_and_under_its_name(hub: HubStandIn, bench: Bench) -> None:
    """The bytes are those of the hub, nothing else is left, and progress ran from nothing to all."""
    assert bench.fetch().read_bytes() == DATA
    assert os.listdir(bench.folder) == ["model.gguf"]
    assert (bench.reports[0].received, bench.reports[-1].received) == (0, len(DATA))
    assert {report.total for report in bench.reports} == {len(DATA)}
    assert hub.file_requests == [("model.gguf", "")]


def test_a_file_that_is_there_is_not_asked_for(hub: HubStandIn, bench: Bench) -> None:
    """A second fetch asks for no bytes."""
    bench.fetch()
    bench.fetch()
    assert len(hub.file_requests) == 1


def test_nothing_about_this_machine_is_sent(hub: HubStandIn, bench: Bench) -> None:
    """Requests carry a constant user agent and no token."""
    bench.fetch()
    sent = {name.lower(): value for name, value in hub.headers.items()}
    assert sent["user-agent"] == "practorflow"
    assert set(sent) == {"user-agent", "accept-encoding", "host", "connection"}


def test_a_broken_connection_is_continued_where_it_broke(hub: HubStandIn, bench: Bench) -> None:
    """Three breaks, four requests, each from where the one before ended, and no byte twice."""
    hub.cuts = [1000, 500_000, 1]
    assert bench.fetch().read_bytes() == DATA
    assert hub.file_requests == [
        ("model.gguf", ""),
        ("model.gguf", "bytes=1000-"),
        ("model.gguf", "bytes=501000-"),
        ("model.gguf", "bytes=501001-"),
    ]


def test_progress_that_goes_on_is_never_given_up(hub: HubStandIn, bench: Bench) -> None:
    """A line that breaks again and again but brings something each time still brings the file."""
    hub.cuts = [len(DATA) // 50] * 49
    assert bench.fetch().read_bytes() == DATA
    assert set(bench.pauses) == {1.0}


def test_a_dead_hub_is_given_up_and_what_arrived_is_kept(hub: HubStandIn, bench: Bench) -> None:
    """After a few attempts without a byte the error says what to do; the next call continues."""
    hub.cuts = [600_000, *[0] * FILE_ATTEMPTS]
    with pytest.raises(DownloadError, match="kept and continued next time"):
        bench.fetch()
    assert bench.part.stat().st_size == 600_000
    assert not (bench.folder / "model.gguf").exists()
    assert bench.pauses == [1.0, 2.0, 4.0, 8.0]
    hub.cuts = []
    assert bench.fetch().read_bytes() == DATA
    assert hub.file_requests[-1] == ("model.gguf", "bytes=600000-")
    assert not bench.part.exists()


def test_a_callback_that_raises_stops_the_download_and_keeps_it(hub: HubStandIn, bench: Bench) -> None:
    """Ctrl-C in the middle loses nothing."""

    def stop(progress: DownloadProgress) -> None:
        if progress.received > 200_000:
            raise KeyboardInterrupt

    impatient = Downloader(HubClient(hub.endpoint), report=stop, sleep=bench.pauses.append)
    repository = impatient.repository(REPOSITORY)
    with pytest.raises(KeyboardInterrupt):
        impatient.fetch(repository, [repository.files[0]], bench.folder)
    kept = bench.part.stat().st_size
    assert kept > 200_000
    assert bench.fetch().read_bytes() == DATA
    assert hub.file_requests[-1] == ("model.gguf", f"bytes={kept}-")


def test_a_killed_process_is_continued_by_the_next(hub: HubStandIn, bench: Bench) -> None:
    """SIGKILL in the middle of a download leaves a part that the next process continues."""
    hub.cuts = [300_000]
    code = f"""
import os, signal
from pathlib import Path
from llm.hub.download import Downloader
from llm.hub.hub_client import HubClient
def die(seconds):
    os.kill(os.getpid(), signal.SIGKILL)
downloader = Downloader(HubClient({hub.endpoint!r}), report=lambda progress: None, sleep=die)
repository = downloader.repository({REPOSITORY!r})
downloader.fetch(repository, repository.files[:1], Path({str(bench.folder)!r}))
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert bench.part.stat().st_size == 300_000
    assert bench.fetch().read_bytes() == DATA
    assert hub.file_requests[-1] == ("model.gguf", "bytes=300000-")


def test_a_hub_that_cannot_continue_is_asked_for_all_of_it(hub: HubStandIn, bench: Bench) -> None:
    """Where the answer begins at the start again, so does the file."""
    hub.ranges = False
    hub.cuts = [400_000]
    assert bench.fetch().read_bytes() == DATA


def test_a_part_that_is_too_long_is_begun_again(hub: HubStandIn, bench: Bench) -> None:
    """A left-over longer than the file cannot be its beginning."""
    bench.folder.mkdir()
    bench.part.write_bytes(DATA + b"more")
    assert bench.fetch().read_bytes() == DATA
    assert hub.file_requests == [("model.gguf", "")]


def test_a_part_of_something_else_is_noticed_and_replaced(hub: HubStandIn, bench: Bench) -> None:
    """When the continued file has another digest, it is fetched anew once, without a word to the caller."""
    bench.folder.mkdir()
    bench.part.write_bytes(b"x" * 1000)
    assert bench.fetch().read_bytes() == DATA
    assert hub.file_requests == [("model.gguf", "bytes=1000-"), ("model.gguf", "")]


def test_a_whole_part_needs_no_request(hub: HubStandIn, bench: Bench) -> None:
    """A process that died just before the renaming left everything that is needed."""
    bench.folder.mkdir()
    bench.part.write_bytes(DATA)
    assert bench.fetch().read_bytes() == DATA
    assert hub.file_requests == []


@pytest.mark.parametrize("name", ["model.gguf", "config.json"])
def test_damage_on_the_way_is_an_error(hub: HubStandIn, bench: Bench, name: str) -> None:
    """One changed byte, in a large file or a small one, and there is no file of that name."""
    hub.corrupt = True
    with pytest.raises(DownloadError, match=f"'{name}' of 'acme/model' arrived damaged"):
        bench.fetch(name)
    assert not (bench.folder / name).exists()


def test_a_short_answer_is_not_a_whole_file(hub: HubStandIn, bench: Bench) -> None:
    """Without any digest from the hub, the length still decides."""
    repository = RemoteRepository(REPOSITORY, REVISION, ())
    hub.cuts = [5000]
    bench.downloader.fetch(repository, [RemoteFile("model.gguf")], bench.folder)
    assert (bench.folder / "model.gguf").read_bytes() == DATA
    assert len(hub.file_requests) == 2


def test_an_overloaded_hub_is_asked_again(hub: HubStandIn, bench: Bench) -> None:
    """Statuses that pass by themselves are waited for."""
    hub.statuses = [503, 429]
    assert bench.fetch().read_bytes() == DATA
    assert bench.pauses == [1.0, 2.0]


def test_a_hub_that_does_not_answer_is_an_error_with_a_next_step(bench: Bench) -> None:
    """Nobody listens at the address: a few attempts, then what to do."""
    downloader = Downloader(HubClient("http://127.0.0.1:9"), report=bench.reports.append, sleep=bench.pauses.append)
    with pytest.raises(DownloadError, match=r"Asking the hub about 'acme/model' failed.*into models_dir"):
        downloader.repository(REPOSITORY)
    assert len(bench.pauses) == LISTING_ATTEMPTS - 1


def test_a_silent_hub_counts_as_interrupted(hub: HubStandIn) -> None:
    """A connection on which nothing comes is given up after the timeout."""
    silence = threading.Event()
    hub.repositories[REPOSITORY] = {"model.gguf": DATA}
    hub.before_bytes = lambda: silence.wait(30)
    repository = HubClient(hub.endpoint).repository(REPOSITORY)
    client = HubClient(hub.endpoint, timeout=0.05)
    with pytest.raises(Interrupted, match=r"[Tt]ime"), client.stream(repository, "model.gguf") as stream:
        list(stream)
    silence.set()


@pytest.mark.parametrize("status", [401, 403, 404, 451])
def test_a_repository_that_is_not_public_is_not_found(hub: HubStandIn, bench: Bench, status: int) -> None:
    """No such repository, private and gated look alike from outside, and asking again would not help."""
    hub.statuses = [status]
    with pytest.raises(ModelNotFoundError, match=rf"no public model 'acme/model' \(status {status}\)"):
        bench.fetch()
    assert bench.pauses == []


def test_a_file_that_is_refused_is_an_error(hub: HubStandIn, bench: Bench) -> None:
    """The listing was public and the file is not."""
    repository = bench.downloader.repository(REPOSITORY)
    hub.statuses = [403]
    with pytest.raises(DownloadError, match=r"refuses 'model.gguf' of 'acme/model' \(status 403\)"):
        bench.downloader.fetch(repository, [repository.files[0]], bench.folder)


BAD_LISTINGS = [
    b"<html>please log in</html>",
    b"[]",
    b"null",
    b'{"sha": "main", "siblings": []}',
    b'{"sha": "' + b"0" * 40 + b'"}',
    b'{"sha": "' + b"0" * 40 + b'", "siblings": [1]}',
    b'{"sha": "' + b"0" * 40 + b'", "siblings": [{"size": 1}]}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("listing", BAD_LISTINGS, ids=range(len(BAD_LISTINGS)))
def test_an_answer_that_is_not_a_hubs_is_an_error(hub: HubStandIn, bench: Bench, listing: bytes) -> None:
    """A login page of a proxy, or a listing with parts missing, is reported as what it is."""
    hub.listing = listing
    with pytest.raises(DownloadError, match="hub"):
        bench.fetch()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"])
def test_redirects_lead_to_web_servers_only(hub: HubStandIn, bench: Bench, address: str) -> None:
    """A hub cannot make the client read the disk or speak other protocols."""
    hub.redirect_to = address
    with pytest.raises(DownloadError, match=r"refuses|not followed"):
        bench.fetch()


def test_encryption_is_not_given_up_by_a_redirect() -> None:
    """From https: to http: is not followed, from http: to https: is tried."""
    secure = urllib.request.Request("https://hub.example.org/x")
    with pytest.raises(DownloadError, match="'http' address"):
        _Redirects().redirect_request(secure, None, 302, "", Message(), "http://hub.example.org/x")
    plain = urllib.request.Request("http://hub.example.org/x")
    followed = _Redirects().redirect_request(plain, None, 302, "", Message(), "https://hub.example.org/x")
    assert followed is not None
    assert followed.type == "https"


def test_a_certificate_that_is_not_trusted_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind an inspecting proxy, the message names the certificate and where to put it."""
    client = HubClient("https://hub.example.org")

    def refuse(*_: object, **__: object) -> object:
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "self-signed certificate"
        raise error

    monkeypatch.setattr(client._opener, "open", refuse)
    with pytest.raises(DownloadError, match=r"self-signed certificate.*SSL_CERT_FILE"):
        client.repository(REPOSITORY)


def test_a_full_disk_is_noticed_before_the_download(
    hub,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message has both numbers, and nothing was asked for."""
    usage = shutil.disk_usage(bench.folder.parent)._replace(free=1000)
    monkeypatch.setattr("llm.hub.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=f"needs {len(DATA)} more bytes and .* has 1000 free"):
        bench.fetch()
    assert hub.file_requests == []


def test_a_folder_that_cannot_be_written_is_an_error(bench: Bench) -> None:
    """What the operating system says is said on, with the path."""
    bench.folder.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="cannot be written"):
        bench.fetch()


def test_the_second_of_two_downloads_waits_for_the_first(
    hub,
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two loads of one new model, and the bytes are asked for once."""
    second_waits = threading.Event()
    hub.before_bytes = lambda: second_waits.wait(30)

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting for it" in record.getMessage():
                second_waits.set()

    logger = logging.getLogger("practorflow.model_pool")
    watch = Watch()
    logger.addHandler(watch)
    caplog.set_level(logging.INFO, logger=logger.name)
    threads = [threading.Thread(target=bench.fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    logger.removeHandler(watch)
    assert second_waits.is_set()
    assert (bench.folder / "model.gguf").read_bytes() == DATA
    assert hub.file_requests == [("model.gguf", "")]
    assert os.listdir(bench.folder) == ["model.gguf"]


def test_a_link_in_the_place_of_the_part_is_not_written_through(bench: Bench, tmp_path: Path) -> None:
    """Somebody else's file cannot be overwritten by putting a link into models_dir."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    bench.folder.mkdir()
    bench.part.symlink_to(victim)
    with pytest.raises(DownloadError, match="cannot be written"):
        bench.fetch()
    assert victim.read_text() == "precious"


def test_the_default_hub_is_that_of_huggingface_hub(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_ENDPOINT, as huggingface_hub read it, decides where no endpoint is set."""
    hub.repositories[REPOSITORY] = {"config.json": b"{}"}
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    assert [file.name for file in HubClient().repository(REPOSITORY).files] == ["config.json"]


@pytest.mark.parametrize("switch", [{"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "yes"}])
def test_the_offline_switches_of_others_are_obeyed(switch: dict[str, str]) -> None:
    """Who has forbidden the hub to other programs does not want this one to ask either."""
    code = "from llm.hub.hub_client import HubClient\nHubClient()"
    environ = {**os.environ, "HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "", **switch}
    result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert "OfflineError: HF_HUB_OFFLINE forbids" in result.stderr


def test_our_own_downloads_work_while_the_dependencies_are_kept_offline() -> None:
    """By default huggingface_hub is offline in this process, and that does not count as somebody's wish."""
    code = (
        "from llm.hub.hub_client import HubClient\nHubClient()\n"
        "import huggingface_hub; print(huggingface_hub.is_offline_mode())"
    )
    environ = {**os.environ, "HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": ""}
    result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "True", result.stderr
