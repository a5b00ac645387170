"""Reference only: the networks of v3 and v4 load official files and equal them; no server speaks with them."""
