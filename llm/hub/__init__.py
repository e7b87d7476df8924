"""From a model's name to a checked file on this machine."""
