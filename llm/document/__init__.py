"""From a file to text that can be searched and cited: loading, cutting, embedding."""
