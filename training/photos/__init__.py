"""What people photographed: labels, sources, notes without their surroundings. Knows no model."""
