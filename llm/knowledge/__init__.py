"""What the organization's documents say: storing them and finding passages in them."""
