"""Labelling page: annotators label the open round in their browsers, and start the next one.

One FastAPI application over one open campaign. It never loads torch: trainings and choices run in a process of their
own. `create_app` makes the application, `serve` runs it.
"""

from minimax_al.extras import extra_packages

with extra_packages("campaign", "the labelling page", ("sqlalchemy", "anyio", "fastapi", "starlette", "uvicorn")):
    from minimax_al.web.app import create_app
    from minimax_al.web.serving import Links, serve

__all__ = ["Links", "create_app", "serve"]
