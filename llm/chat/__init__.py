"""Messages to text and back, by the model's own template: rendering, tokens, and what a reply says."""
