"""Lets a checkout run with nothing installed; the installed entry point has the same name."""

pytest_plugins = ["traincost.plugin"]
