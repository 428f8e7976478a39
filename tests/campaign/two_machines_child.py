"""The second machine of a test: a process with a campaign folder of its own and the same database.

Reads commands from standard input, one per line, and answers each with one line of JSON.
"""

import json
import sys
from pathlib import Path

from minimax_al.campaign import Campaign
from minimax_al.errors import MinimaxALError


def class_of(path):
    return path.rsplit("-", 1)[1].removesuffix(".png")


def serve(campaign, command, *words):
    if command == "lease":
        return [pick.path for pick in campaign.lease(words[0], int(words[1])).picks]
    if command == "label":
        leased = campaign.lease(words[0], int(words[1])).picks
        for pick in leased:
            campaign.label(pick.item, class_of(pick.path), author=words[0])
        return len(leased)
    if command == "query":
        return campaign.query(int(words[0])).number
    if command == "train":
        return campaign.train().labels
    if command == "picks":
        return [pick.path for pick in campaign.picks()]
    if command == "status":
        status = campaign.status()
        return [status.items, status.labelled, None if status.model is None else status.model.labels]
    raise ValueError(command)


def main():
    with Campaign.open(Path(sys.argv[1])) as campaign:
        answer = "open"
        while True:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            line = sys.stdin.readline()
            if not line:
                return
            try:
                answer = serve(campaign, *line.split())
            except MinimaxALError as error:
                answer = {"error": str(error)}


if __name__ == "__main__":
    main()
