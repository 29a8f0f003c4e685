"""What tests share; README.md says which piece does what."""
