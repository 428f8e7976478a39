# Scripts, which load Playwright; without this, pytest would load them to look for doctests.
collect_ignore = ["people.py", "session.py", "shown.py"]
