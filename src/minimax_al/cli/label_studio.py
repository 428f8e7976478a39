"""The commands of the bridge to Label Studio."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from minimax_al.cli.printing import show
from minimax_al.cli.web import token_or_variable

if TYPE_CHECKING:
    from minimax_al.campaign import Campaign
    from minimax_al.label_studio import LabelStudio

_URL = "http://localhost:8080"


def push(
    folder: Path, /, project: str, url: str = _URL, api_key: str | None = None, images_url: str | None = None
) -> None:
    """Send a campaign's open round to a project of Label Studio, each image once.

    Args:
        folder: of the campaign.
        project: title or number; a title that is not there yet makes a project.
        url: where Label Studio is.
        api_key: an access token; by default what the environment variable LABEL_STUDIO_API_KEY has, which others on
            this machine cannot read, as they can a command's words.
        images_url: where Label Studio's users find the folder of images; by default the files are uploaded.
    """
    from minimax_al import label_studio

    with _both(folder, url, api_key) as (campaign, client):
        done = label_studio.push(campaign, client, project, images_url=images_url)
    made = " (new)" if done.made else ""
    show(f"{done.sent} images sent to project {done.project}{made}, {done.renewed} brought up to date")
    show(f"{done.there} were there already, {done.answered} are labelled there: {done.url}")
    if done.held:
        show(f"{done.held} are before people on the labelling page: push again later for those that they leave")
    show("The labelling page hands these out to nobody, until they are pulled, or mal label-studio recall takes them")


def pull(folder: Path, /, project: str, url: str = _URL, api_key: str | None = None) -> None:
    """Bring the annotations of a project of Label Studio back: all that are new, or none.

    Args:
        folder: of the campaign.
        project: title or number.
        url: where Label Studio is.
        api_key: an access token; by default what the environment variable LABEL_STUDIO_API_KEY has, which others on
            this machine cannot read, as they can a command's words.
    """
    from minimax_al import label_studio

    with _both(folder, url, api_key) as (campaign, client):
        done = label_studio.pull(campaign, client, project)
    show(f"{done.added} labels added, {done.changed} changed, {done.skipped} skipped, {done.unchanged} as they were")
    if done.overtaken or done.empty:
        show(f"{done.overtaken} are older than what holds here; {done.empty} annotations are empty")


def recall(folder: Path, /) -> None:
    """Take back what lies in Label Studio, to be labelled on the page; what is pulled later still counts.

    Args:
        folder: of the campaign.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show(f"{campaign.recall()} images are taken back. Next: mal label {quote(str(folder))}")


def serve(
    folder: Path,
    /,
    project: str,
    url: str = _URL,
    api_key: str | None = None,
    host: str = "127.0.0.1",
    port: int = 9090,
    token: str | None = None,
) -> None:
    """Serve a campaign as an ML backend of Label Studio, which takes labels as they are given; Ctrl+C stops.

    Args:
        folder: of the campaign.
        project: title or number.
        url: where Label Studio is.
        api_key: an access token; by default what the environment variable LABEL_STUDIO_API_KEY has, which others on
            this machine cannot read, as they can a command's words.
        host: name or address to listen on; 0.0.0.0 lets other machines in, with a token.
        port: to listen on; 0 takes a free one.
        token: what Label Studio must show; by default what the environment variable MINIMAX_AL_TOKEN has. Beyond this
            machine there always is one, made where none is given.
    """
    from minimax_al.web.label_studio_backend import serve_backend

    def tell(address: str, password: str | None) -> None:
        show(f"ML backend: {address}\nIn the project's settings, under Model, connect a model with this address.")
        show(
            "It calls private addresses only if it runs with ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false."
        )
        if password is not None:
            show(
                f"Choose basic authentication, any user, and the password {password}\n"
                f"Give the webhook that Label Studio then makes the header Authorization: Bearer {password}"
            )
        sys.stdout.flush()

    with _both(folder, url, api_key) as (campaign, client):
        serve_backend(campaign, client, project, host=host, port=port, token=token_or_variable(token), tell=tell)


@contextmanager
def _both(folder: Path, url: str, api_key: str | None) -> Iterator[tuple["Campaign", "LabelStudio"]]:
    from minimax_al.campaign import Campaign
    from minimax_al.label_studio import LabelStudio

    key = os.environ.get("LABEL_STUDIO_API_KEY", "") if api_key is None else api_key
    with Campaign.open(folder) as campaign, LabelStudio(url, key) as client:
        yield campaign, client
