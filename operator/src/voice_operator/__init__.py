"""The operator: watches voices, decides, acts; never trains and never speaks."""

__version__ = "0.1.0"
