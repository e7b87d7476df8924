"""Who computes what, when. Tokens in, tokens out: nothing here knows text, templates or tools."""
