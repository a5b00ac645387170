"""The operator: watches voices, decides, acts; never trains and never speaks."""
