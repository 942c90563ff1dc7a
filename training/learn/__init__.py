"""From material to a network and its numbers; the only room that needs Keras."""
