"""What the measurements of this tool itself do."""
