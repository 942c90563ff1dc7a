"""From material to a network and its numbers. The only room that needs Keras."""
