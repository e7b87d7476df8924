"""Which token may come next: JSON schemas and tools in, a mask over the vocabulary out."""
