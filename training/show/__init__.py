"""What was found, for people: pages, drawings, the model card."""
