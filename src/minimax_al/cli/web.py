"""The command of the labelling page."""

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
        token: what browsers must show; beyond this machine there always is one, made where none is given.
        browser: whether to open the page, where this is a terminal.
    """
    from minimax_al.campaign import Campaign
    from minimax_al.web import serve

    def tell(address: str) -> None:
        show(f"Labelling page: {address}\nCtrl+C stops; all answers are saved as they are given.")
        sys.stdout.flush()

    with Campaign.open(folder) as campaign:
        serve(campaign, host=host, port=port, token=token, open_browser=browser and sys.stdout.isatty(), tell=tell)
