"""The commands of the bridge to Label Studio."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from minimax_al.cli.arguments import Address, CampaignFolder, Port, Token
from minimax_al.cli.printing import show
from minimax_al.cli.web import token_or_variable

if TYPE_CHECKING:
    from minimax_al.campaign import Campaign
    from minimax_al.label_studio import LabelStudio

_URL = "http://localhost:8080"

_Project = Annotated[str, "PROJECT"]
_Url = Annotated[str, "URL"]
_Key = Annotated[str | None, "KEY"]


def push(
    folder: CampaignFolder,
    /,
    project: _Project,
    url: _Url = _URL,
    api_key: _Key = None,
    images_url: Annotated[str | None, "URL"] = None,
) -> None:
    """Send the open round to a project of Label Studio, each image once.

    Args:
        folder: Campaign folder.
        project: Title or number of the project; an unknown title creates a project.
        url: URL of Label Studio.
        api_key: Access token of Label Studio. Prefer the environment variable LABEL_STUDIO_API_KEY: other users of this
            machine can read a command's words.
        images_url: URL at which Label Studio's users reach the folder of images; without it, the files are uploaded.
    """
    from minimax_al import label_studio

    with _both(folder, url, api_key) as (campaign, client):
        done = label_studio.push(campaign, client, project, images_url=images_url)
    made = " (new)" if done.made else ""
    show(f"{done.sent} images sent to project {done.project}{made}, {done.renewed} updated")
    show(f"{done.there} were there before, {done.answered} are labelled there: {done.url}")
    if done.held:
        show(f"{done.held} are open on the labelling page: push again later for those that stay unanswered")
    show("The labelling page does not show these images until they are pulled or recalled (mal label-studio recall)")


def pull(folder: CampaignFolder, /, project: _Project, url: _Url = _URL, api_key: _Key = None) -> None:
    """Import the new annotations of a project of Label Studio, all or none.

    Args:
        folder: Campaign folder.
        project: Title or number of the project.
        url: URL of Label Studio.
        api_key: Access token of Label Studio. Prefer the environment variable LABEL_STUDIO_API_KEY: other users of this
            machine can read a command's words.
    """
    from minimax_al import label_studio

    with _both(folder, url, api_key) as (campaign, client):
        done = label_studio.pull(campaign, client, project)
    show(f"{done.added} labels added, {done.changed} changed, {done.skipped} skipped, {done.unchanged} unchanged")
    if done.overtaken or done.empty:
        show(f"{done.overtaken} are older than the current labels; {done.empty} annotations are empty")


def recall(folder: CampaignFolder, /) -> None:
    """Return the images sent to Label Studio to the labelling page; later pulls still count.

    Args:
        folder: Campaign folder.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        show(f"{campaign.recall()} images are back on the labelling page. Next: mal label {quote(str(folder))}")


def serve(
    folder: CampaignFolder,
    /,
    project: _Project,
    url: _Url = _URL,
    api_key: _Key = None,
    host: Address = "127.0.0.1",
    port: Port = 9090,
    token: Token = None,
) -> None:
    """Serve a campaign as an ML backend of Label Studio; Ctrl+C stops it.

    Args:
        folder: Campaign folder.
        project: Title or number of the project.
        url: URL of Label Studio.
        api_key: Access token of Label Studio. Prefer the environment variable LABEL_STUDIO_API_KEY: other users of this
            machine can read a command's words.
        host: Host name or address to listen on; 0.0.0.0 admits other machines, with a token.
        port: Port to listen on; 0 selects a free one.
        token: Token that Label Studio must send, at least 16 letters; without it, the environment variable
            MINIMAX_AL_TOKEN. A backend that other machines can reach always has a token; it is generated if none is
            given.
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
