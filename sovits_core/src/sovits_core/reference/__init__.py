"""The networks of v3 and v4: they load official files and equal the official code, and are not served.

Only `official` and tests import this package; see decision 0014.
"""
