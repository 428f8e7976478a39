"""Arguments that several commands share, each with its placeholder in the help."""

from pathlib import Path
from typing import Annotated

CampaignFolder = Annotated[Path, "CAMPAIGN"]
Model = Annotated[Path, "MODEL"]
ImageFolder = Annotated[str, "FOLDER|MANIFEST|URL"]
File = Annotated[Path, "FILE"]
Source = Annotated[Path, "SOURCE"]
Destination = Annotated[Path, "OUT"]
Strategy = Annotated[str | None, "STRATEGY"]
Format = Annotated[str | None, "FORMAT"]
Count = Annotated[int, "N"]
Share = Annotated[float, "SHARE"]
Address = Annotated[str, "HOST"]
Port = Annotated[int, "PORT"]
Token = Annotated[str | None, "TOKEN"]
