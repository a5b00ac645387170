"""Evaluation: resynthesis, scores, gates, and the report."""
