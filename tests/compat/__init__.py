"""Tests that hold this package against serverwamp 2.0.0, the reference whose behaviour it keeps."""
