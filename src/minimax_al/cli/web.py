"""The command of the labelling page."""

import os
import sys
from pathlib import Path

from minimax_al.cli.printing import show


def label(
    folder: Path, /, host: str = "127.0.0.1", port: int = 8765, token: str | None = None, browser: bool = True
) -> None:
    """Label the open round of a campaign in the browser, alone or together; Ctrl+C stops.

    Args:
        folder: of the campaign.
        host: name or address to listen on; 0.0.0.0 lets others in, with a token.
        port: to listen on; 0 takes a free one.
        token: what browsers must show; by default what the environment variable MINIMAX_AL_TOKEN has, which others on
            this machine cannot read, as they can a command's words. Beyond this machine there always is one, made
            where none is given.
        browser: whether to open the page, where this is a terminal and no token is needed.
    """
    from minimax_al.campaign import Campaign
    from minimax_al.web import serve

    def tell(address: str) -> None:
        show(f"Labelling page: {address}\nCtrl+C stops; all answers are saved as they are given.")
        sys.stdout.flush()

    with Campaign.open(folder) as campaign:
        shown = browser and sys.stdout.isatty()
        serve(campaign, host=host, port=port, token=token_or_variable(token), open_browser=shown, tell=tell)


def token_or_variable(token: str | None) -> str | None:
    """The token that was given, or else that of the environment; None where neither has one."""
    return (os.environ.get("MINIMAX_AL_TOKEN") or None) if token is None else token
