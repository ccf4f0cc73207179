"""What a comparison is written as, one file each."""
