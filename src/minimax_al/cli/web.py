"""The command of the labelling page."""

import os
import sys
from pathlib import Path
from typing import Annotated

from minimax_al.cli.arguments import Address, CampaignFolder, Port, Token
from minimax_al.cli.printing import show


def label(
    folder: CampaignFolder,
    /,
    host: Address = "127.0.0.1",
    port: Port = 8765,
    token: Token = None,
    certificate: Annotated[Path | None, "FILE.pem"] = None,
    key: Annotated[Path | None, "FILE.pem"] = None,
    overlap: Annotated[float | None, "SHARE"] = None,
    browser: bool = True,
    rounds: bool = False,
    batch: Annotated[int | None, "IMAGES"] = None,
    random_share: Annotated[float | None, "SHARE"] = None,
) -> None:
    """Serve the labelling page, for one annotator or many; Ctrl+C stops it.

    A campaign on features is labelled live: a learner fits to the answers as they come, and chooses the next images by
    itself. Other campaigns work in rounds.

    With a token the page has two links: the manager's opens everything, the annotator's labelling and review alone.

    Args:
        folder: Campaign folder.
        host: Host name or address to listen on; 0.0.0.0 admits other machines, with a token.
        port: Port to listen on; 0 selects a free one.
        token: Token of the manager's link, at least 16 letters. Prefer the environment variable MINIMAX_AL_TOKEN:
            other users of this machine can read a command's words. A page that other machines can reach always has a
            token; it is generated if none is given.
        certificate: PEM file of a certificate, with which the page is served by HTTPS.
        key: PEM file of the certificate's private key; without it, the certificate's file holds it.
        overlap: Share of the images that two annotators answer independently, in [0, 1]; kept as a setting.
        browser: Open the page in a browser, if this is a terminal and no token is needed.
        rounds: Work in rounds, which are chosen on request, instead of live.
        batch: Number of images that are chosen at a time in live labelling; without it, 10.
        random_share: Share of the images of live labelling that is drawn at random; without it, the campaign's
            setting.
    """
    from minimax_al.campaign import Campaign
    from minimax_al.campaign.rounds.live_state import live_options
    from minimax_al.web import Links, serve

    def tell(links: Links) -> None:
        if links.annotator is None:
            show(f"Labelling page: {links.manager}")
        else:
            show(f"Manager's link:   {links.manager}\nAnnotator's link: {links.annotator}")
        show("Ctrl+C stops it; every answer is saved at once.")
        sys.stdout.flush()

    with Campaign.open(folder) as campaign:
        shown = browser and sys.stdout.isatty()
        serve(
            campaign,
            host=host,
            port=port,
            token=token_or_variable(token),
            open_browser=shown,
            certificate=certificate,
            key=key,
            live=live_options(campaign.settings, batch, random_share, rounds=rounds),
            overlap=overlap,
            tell=tell,
        )


def token_or_variable(token: str | None) -> str | None:
    """Return the given token, else the one in the environment, else None."""
    return (os.environ.get("MINIMAX_AL_TOKEN") or None) if token is None else token
