"""The command of the labelling page."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from minimax_al.cli.arguments import Address, CampaignFolder, Port, Token
from minimax_al.cli.printing import show

if TYPE_CHECKING:
    from minimax_al.campaign import Campaign
    from minimax_al.campaign.progress.live_state import LiveOptions


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
    from minimax_al.web import Links, serve

    def tell(links: Links) -> None:
        if overlap is not None:  # a setting changes only when every other option is known to be valid
            campaign.configure(overlap=overlap)
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
            live=live_options(campaign, batch, random_share, rounds=rounds),
            tell=tell,
        )


def live_options(
    campaign: "Campaign", batch: int | None, random_share: float | None, *, rounds: bool
) -> "LiveOptions | None":
    """Return the options of live labelling; None if the campaign is labelled in rounds.

    Raises:
        ConfigurationError: An option of live labelling is given for rounds, or is out of its range.
    """
    from minimax_al.campaign.progress.live_state import LiveOptions
    from minimax_al.errors import ConfigurationError

    share = campaign.settings.random_share if random_share is None else random_share
    options = LiveOptions(random_share=share) if batch is None else LiveOptions(batch, share)
    if not rounds and campaign.settings.features is not None:
        return options
    given = {"batch": batch, "random_share": random_share}
    for option, value in given.items():
        if value is None:
            continue
        why = "--rounds is given" if rounds else "the campaign does not learn on features"
        instead = {"batch": "--budget", "random_share": "--random-share"}[option]
        raise ConfigurationError(
            f"{option}={value!r} is an option of live labelling, but {why}: leave it out, and use {instead} of "
            "'mal query', which opens a round"
        )
    return None


def token_or_variable(token: str | None) -> str | None:
    """Return the given token, else the one in the environment, else None."""
    return (os.environ.get("MINIMAX_AL_TOKEN") or None) if token is None else token
