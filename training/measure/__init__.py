"""What a bundle does, through the device's own stages."""
