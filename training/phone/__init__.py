"""A bundle for phones: Core ML, ONNX, and what a port of the decision is checked against."""
