"""Bridge to Label Studio: images of a round go there as tasks, and annotations come back as labels.

    with LabelStudio("http://localhost:8080", api_key) as client:
        push(campaign, client, "herons")        # makes the project, sends the open round
        pull(campaign, client, "herons")        # as often as you like: nothing comes twice

Its ML backend is `minimax_al.web.label_studio_backend`.
"""

from minimax_al.extras import extra_packages

with extra_packages("campaign", "the bridge to Label Studio", ("sqlalchemy", "httpx")):
    from minimax_al.label_studio.client import LabelStudio
    from minimax_al.label_studio.pulling import Pull, pull
    from minimax_al.label_studio.pushing import Push, push

__all__ = ["LabelStudio", "Pull", "Push", "pull", "push"]
