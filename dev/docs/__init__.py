"""The documentation site: references made from the code, and the hooks that put them into mkdocs."""
