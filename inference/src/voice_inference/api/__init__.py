"""The HTTP interface: app, routes, request and error shapes."""
