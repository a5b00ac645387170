"""Copies of published voices on the Hugging Face Hub; servers go on reading the object store."""
