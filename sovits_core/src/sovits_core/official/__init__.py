"""Reading and writing what the official GPT-SoVITS code reads and writes."""
